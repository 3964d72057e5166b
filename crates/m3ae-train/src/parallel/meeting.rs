//! Agreement of all devices before a sum that none may miss: in a collective, one that stays away leaves the others waiting for ever.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};

use burn::module::ParamId;

/// Parameters that have a gradient.
pub(super) type Touched = BTreeSet<ParamId>;

/// The first device's place.
pub(super) struct Chair(Vec<(Receiver<Touched>, Sender<Touched>)>);

/// Another device's place. A device that gives it up, by an error or a panic, lets nobody start.
pub(super) struct Seat {
    report: Sender<Touched>,
    answer: Receiver<Touched>,
}

/// Places for the first device and `others`.
pub(super) fn meeting(others: usize) -> (Chair, Vec<Seat>) {
    let places = (0..others).map(|_| {
        let ((report, told), (say, answer)) = (channel(), channel());
        ((told, say), Seat { report, answer })
    });
    let (chair, seats) = places.unzip();
    (Chair(chair), seats)
}

impl Chair {
    /// Waits for all; gives the parameters that have a gradient anywhere, or `None` where a device has none to give.
    pub(super) fn agree(self, own: Option<Touched>) -> Option<Touched> {
        let mut all = own?;
        for (told, _) in &self.0 {
            all.extend(told.recv().ok()?);
        }
        for (_, say) in &self.0 {
            say.send(all.clone()).ok()?; // It waits for this and for nothing else.
        }
        Some(all)
    }
}

impl Seat {
    /// As [`Chair::agree`].
    pub(super) fn agree(self, own: Option<Touched>) -> Option<Touched> {
        self.report.send(own?).ok()?;
        self.answer.recv().ok()
    }
}
