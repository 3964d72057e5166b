use std::path::Path;

use burn::prelude::Device;
use m3ae_model::{HeadsConfig, M3ae, M3aeConfig};

use super::*;
use crate::checkpoint::{Best, Identity, Progress};
use crate::metrics::{Measured, Metrics, Sums, Term};
use crate::testing::tiny_config;

/// A run's folder, with checkpoints of a model that is as small as a model can be.
struct Checkpoints {
    folder: tempfile::TempDir,
    config: M3aeConfig,
    model: M3ae,
}

impl Checkpoints {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
        let config = tiny_config(HeadsConfig::new().with_mlm(false).with_mim(false));
        let model = config.init(&Device::default()).unwrap();
        Self { folder, config, model }
    }

    fn run(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.run().join(CHECKPOINTS).join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.run().join(CHECKPOINTS)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    fn manager(&self, keep: usize) -> CheckpointManager {
        let section = CheckpointSection { keep, background: false, on_failure: OnFailure::Stop, ..Default::default() };
        CheckpointManager::new(self.run(), &section, None).unwrap()
    }

    /// The state after `step` steps, whose best weights are of step `best`, with this loss.
    fn snapshot(&self, step: usize, best: usize, loss: f32) -> Snapshot {
        let best = Best { step: best, score: 0.5, metrics: metrics(loss) };
        Snapshot {
            model: self.model.clone(),
            config: self.config.clone(),
            moments: Some(std::collections::BTreeMap::new()),
            progress: Progress { step, best: Some(best), trained: Some(metrics(loss)), ..Progress::default() },
            recipe: String::new(),
            identity: Identity { tokenizer: "t".into(), answers: None, data: "d".into() },
            tokenizer: self.run().join("tokenizer.json"),
            max_length: 8,
        }
    }

    fn damage(&self, name: &str) {
        fs::write(self.path(name).join("recipe.toml"), "changed").unwrap();
    }
}

fn metrics(loss: f32) -> Metrics {
    let loss = burn::Tensor::<1>::from_data([loss], &Device::default());
    let mut sums = Sums::default();
    sums.add(&Measured { terms: vec![Term::mean("loss", &loss, 1)], loss, samples: 1 }).unwrap();
    sums.means()
}

#[test]
fn the_former_best_weights_stay_until_no_checkpoint_names_them() {
    let checkpoints = Checkpoints::new();
    let mut manager = checkpoints.manager(2);
    let save = |manager: &mut CheckpointManager, step, best| {
        assert!(manager.save(checkpoints.snapshot(step, best, 1.0)).unwrap().is_none());
    };
    manager.save_best(&checkpoints.snapshot(1, 1, 1.0)).unwrap();
    save(&mut manager, 1, 1);
    // Killed here, the run resumes from step 1, whose best weights must be there.
    manager.save_best(&checkpoints.snapshot(3, 3, 1.0)).unwrap();
    assert_eq!(checkpoints.names(), ["best-000001", "best-000003", "step-000001"]);
    save(&mut manager, 3, 3);
    assert_eq!(checkpoints.names(), ["best-000001", "best-000003", "step-000001", "step-000003"]);
    save(&mut manager, 4, 3);
    assert_eq!(checkpoints.names(), ["best-000003", "step-000003", "step-000004"]);
}

#[test]
fn damaged_checkpoints_are_renamed_and_do_not_count_as_kept() {
    let checkpoints = Checkpoints::new();
    let mut manager = checkpoints.manager(5);
    for step in [1, 2, 8, 9] {
        manager.save(checkpoints.snapshot(step, 1, 1.0)).unwrap();
    }
    ["step-000008", "step-000009"].iter().for_each(|name| checkpoints.damage(name));
    let mut notices = Vec::new();
    let found = newest_checkpoint(checkpoints.run(), &mut |notice| notices.push(notice.to_owned())).unwrap().unwrap();
    assert_eq!(found.path, checkpoints.path("step-000002"));
    assert!(notices.len() == 2 && notices[0].contains("step-000009 is damaged and skipped: recipe.toml is not"));
    let mut manager = checkpoints.manager(1);
    manager.save(checkpoints.snapshot(3, 1, 1.0)).unwrap();
    assert_eq!(checkpoints.names(), ["damaged-step-000008", "damaged-step-000009", "step-000003"]);
}

#[test]
fn the_checkpoint_just_written_stays_whatever_later_steps_are_there() {
    let checkpoints = Checkpoints::new();
    let mut manager = checkpoints.manager(1);
    fs::create_dir(checkpoints.path("step-000007")).unwrap();
    manager.save(checkpoints.snapshot(3, 1, 1.0)).unwrap();
    manager.save(checkpoints.snapshot(4, 1, 1.0)).unwrap();
    assert_eq!(checkpoints.names(), ["step-000004", "step-000007"]);
}

#[test]
fn where_no_checkpoint_is_whole_that_is_an_error_each_time() {
    let checkpoints = Checkpoints::new();
    assert!(newest_checkpoint(checkpoints.run(), &mut |_| {}).unwrap().is_none());
    checkpoints.manager(1).save(checkpoints.snapshot(1, 1, 1.0)).unwrap();
    checkpoints.damage("step-000001");
    for _ in 0..2 {
        let error = newest_checkpoint(checkpoints.run(), &mut |_| {}).unwrap_err();
        assert!(matches!(error, CheckpointError::NoneWhole { .. }), "{error}");
    }
}

#[test]
fn a_metric_that_is_not_a_number_damages_no_checkpoint() {
    let checkpoints = Checkpoints::new();
    for loss in [f32::NAN, f32::INFINITY, 0.1] {
        let path = checkpoints.path("step-000001");
        checkpoints.manager(1).save(checkpoints.snapshot(1, 1, loss)).unwrap();
        let read = RunCheckpoint::open(&path).unwrap().progress.trained.unwrap().get("loss").unwrap();
        assert_eq!(read.to_bits(), f64::from(loss).to_bits(), "{loss}");
    }
}
