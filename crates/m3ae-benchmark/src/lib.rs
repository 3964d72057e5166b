//! Evaluates a trained M3AE model on a benchmark.
//!
//! A [`Job`] is plain data: benchmark, model, split, protocol, folders. [`evaluate`] prepares the data set if only its
//! raw folder is there, checks that data and model follow the protocol, asks the model everything and gives
//! [`Results`]: scores with intervals, predictions and a report, which [`Results::write`] puts into a folder. An
//! [`Event`] tells an observer how far it is.
//!
//! | benchmark | task |
//! |---|---|
//! | VQA-RAD, SLAKE, VQA-Med-2019, the synthetic set | question answering |
//! | MELINDA | classification |
//! | ROCO | image-text retrieval; scores are kept as they are computed, so an interrupted evaluation continues |
//!
//! [`Index`] keeps encoded images on disk, so that a folder of images is encoded once and searched many times.
//!
//! # Burn features
//! The crate computes on the [`Device`] it is given. Choose a backend in your own `Cargo.toml`,
//! such as `burn = { version = "=0.22.1", features = ["flex"] }` for the CPU.
//!
//! # Example
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use burn::prelude::Device;
//! use m3ae_benchmark::{Benchmark, BenchmarkError, Job, evaluate};
//!
//! let job = Job::new(Benchmark::VqaRad, "runs/vqa-rad");
//! assert_eq!(job.out, std::path::Path::new("runs/eval/vqa-rad-vqa-rad"));
//! match evaluate(&job, &Device::default(), &AtomicBool::new(false), &mut |_| {}) {
//!     Ok(Some(results)) => results.write(&job.out)?,
//!     Ok(None) => println!("stopped"),
//!     // Without the data set beside this example, the error names the files it needs.
//!     Err(error) => assert!(matches!(error, BenchmarkError::NotHere { .. })),
//! }
//! # Ok::<(), BenchmarkError>(())
//! ```

mod blocks;
mod classification;
mod error;
mod event;
mod index;
mod job;
mod matrices;
mod names;
mod place;
mod prepared;
mod protocol;
mod questions;
mod results;
mod retrieval;
mod selection;
mod vqa;

use std::sync::atomic::AtomicBool;

use burn::prelude::Device;

pub use blocks::blocks;
pub use error::BenchmarkError;
pub use event::{Event, Observer};
pub use index::Index;
pub use job::Job;
pub use matrices::write_matrices;
pub use names::{Benchmark, ProtocolName, Split};
pub use place::{RECORD, default_folder, model_name};
pub use prepared::{default_prepared, prepare_absent, prepare_options, prepared_path};
pub use results::{Results, Throughput};

/// Scores a model. Nothing is written but prepared data sets and, of retrieval, the scores so far. `None` if `stop`
/// became true.
///
/// # Errors
/// Everything [`BenchmarkError`] names.
pub fn evaluate(
    job: &Job,
    device: &Device,
    stop: &AtomicBool,
    observer: Observer<'_>,
) -> Result<Option<Results>, BenchmarkError> {
    match job.benchmark {
        Benchmark::Melinda => classification::evaluate(job, device, stop, observer),
        Benchmark::Roco => retrieval::evaluate(job, device, stop, observer),
        Benchmark::VqaRad | Benchmark::Slake | Benchmark::VqaMed2019 | Benchmark::PhantomVqa => {
            vqa::evaluate(job, device, stop, observer)
        }
    }
}
