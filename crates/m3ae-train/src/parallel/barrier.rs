//! A barrier before a sum over all devices: in a collective, a device that stays away leaves the others waiting for
//! ever. Here each device first says which parameters have a gradient, or gives up.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};

use burn::module::ParamId;

/// Parameters that have a gradient.
pub(super) type ParamsWithGrad = BTreeSet<ParamId>;

/// The first device's side: a channel from and to each other device.
pub(super) struct Leader(Vec<(Receiver<ParamsWithGrad>, Sender<ParamsWithGrad>)>);

/// Another device's side. If it is dropped, by an error or a panic, no device passes the barrier.
pub(super) struct Follower {
    report: Sender<ParamsWithGrad>,
    answer: Receiver<ParamsWithGrad>,
}

/// A barrier for the first device and `others`.
pub(super) fn barrier(others: usize) -> (Leader, Vec<Follower>) {
    let sides = (0..others).map(|_| {
        let ((report, reports), (answers, answer)) = (channel(), channel());
        ((reports, answers), Follower { report, answer })
    });
    let (leader, followers) = sides.unzip();
    (Leader(leader), followers)
}

impl Leader {
    /// Waits for all devices. Returns the parameters that have a gradient on any of them; `None` if a device gave up.
    pub(super) fn wait(self, own: Option<ParamsWithGrad>) -> Option<ParamsWithGrad> {
        let mut all = own?;
        for (reports, _) in &self.0 {
            all.extend(reports.recv().ok()?);
        }
        for (_, answers) in &self.0 {
            answers.send(all.clone()).ok()?; // The follower waits for nothing else.
        }
        Some(all)
    }
}

impl Follower {
    /// As [`Leader::wait`].
    pub(super) fn wait(self, own: Option<ParamsWithGrad>) -> Option<ParamsWithGrad> {
        self.report.send(own?).ok()?;
        self.answer.recv().ok()
    }
}
