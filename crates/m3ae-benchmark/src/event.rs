//! What happens during an evaluation, for those who show it.

use std::path::Path;
use std::time::Duration;

use m3ae::Model;
use m3ae_prepare::SetName;

/// What happens during an evaluation.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A set is prepared from its raw folder, once.
    Preparing {
        /// The data set.
        set: SetName,
        /// Its raw folder.
        raw: &'a Path,
    },
    /// The model is open.
    Opened {
        /// The model.
        model: &'a Model,
        /// From the files to a model that can be asked.
        took: Duration,
    },
    /// Items are about to be computed.
    Begin {
        /// All items.
        total: u64,
        /// Those that an earlier call computed.
        done: u64,
        /// What they are called.
        unit: &'static str,
    },
    /// So many more items are done.
    Advance(u64),
    /// An image cannot be read and is left out of an index.
    LeftOut {
        /// The image.
        path: &'a Path,
        /// Why.
        error: &'a m3ae::ModelError,
    },
    /// All items are done, or the evaluation was stopped.
    End,
}

/// Sees what happens. For a silent evaluation: `&mut |_| {}`.
pub type Observer<'o> = &'o mut dyn FnMut(Event<'_>);
