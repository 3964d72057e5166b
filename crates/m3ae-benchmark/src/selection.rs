//! Finds out on which items a checkpoint was chosen.

use std::fs;
use std::path::Path;

use m3ae_eval::ChosenOn;

/// The validation split of a run chooses its checkpoint. A model in a run's folder says by the run's recipe which
/// prepared files that were; where they are the ones that are scored now, `validation_equals_test` answers the
/// question. Every other model (a `.ckpt`, a model folder by itself) does not say how it was chosen.
pub(crate) fn chosen_on(weights: &Path, prepared: &Path, validation_equals_test: Option<bool>) -> ChosenOn {
    match (trained_on(weights, prepared), validation_equals_test) {
        (true, Some(true)) => ChosenOn::ScoredItems,
        (true, Some(false)) => ChosenOn::OtherItems,
        _ => ChosenOn::Unknown,
    }
}

/// Whether the weights lie in the folder of a fine-tuning run on these prepared files: `<run>/model/…` or
/// `<run>/checkpoints/<name>/…` beside `<run>/config.toml`.
fn trained_on(weights: &Path, prepared: &Path) -> bool {
    let recipe = weights.ancestors().skip(2).take(2).find_map(|run| fs::read_to_string(run.join("config.toml")).ok());
    let Some(recipe) = recipe.and_then(|text| text.parse::<toml::Table>().ok()) else { return false };
    let of = |section: &str, key: &str| recipe.get(section)?.get(key)?.as_str().map(str::to_owned);
    if of("task", "kind").is_none_or(|kind| kind == "pretraining") {
        return false;
    }
    let folder = match of("data", "phantom") {
        Some(phantom) => Some(Path::new(&phantom).join("arrows")),
        None => of("data", "prepared").map(Into::into),
    };
    match (folder.and_then(|folder| folder.canonicalize().ok()), prepared.canonicalize()) {
        (Some(trained), Ok(prepared)) => trained == prepared,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_on_the_scored_files_says_how_it_chose() {
        let folder = tempfile::tempdir().unwrap();
        let (run, arrows) = (folder.path().join("run"), folder.path().join("arrows"));
        fs::create_dir_all(run.join("model")).unwrap();
        fs::create_dir_all(run.join("checkpoints/best-000010")).unwrap();
        fs::create_dir_all(&arrows).unwrap();
        let weights = run.join("model/model.safetensors");
        assert_eq!(chosen_on(&weights, &arrows, Some(false)), ChosenOn::Unknown, "there is no recipe");
        let recipe = |kind: &str, prepared: &Path| {
            let text = format!("[task]\nkind = {kind:?}\n[data]\nprepared = {:?}\n", prepared.display().to_string());
            fs::write(run.join("config.toml"), text).unwrap();
        };
        recipe("vqa", &arrows);
        assert_eq!(chosen_on(&weights, &arrows, Some(false)), ChosenOn::OtherItems);
        assert_eq!(chosen_on(&weights, &arrows, Some(true)), ChosenOn::ScoredItems);
        assert_eq!(chosen_on(&weights, &arrows, None), ChosenOn::Unknown);
        let best = run.join("checkpoints/best-000010/model.safetensors");
        assert_eq!(chosen_on(&best, &arrows, Some(true)), ChosenOn::ScoredItems);
        assert_eq!(chosen_on(&weights, folder.path(), Some(false)), ChosenOn::Unknown, "other files");
        recipe("pretraining", &arrows);
        assert_eq!(chosen_on(&weights, &arrows, Some(false)), ChosenOn::Unknown);
        assert_eq!(chosen_on(Path::new("m3ae.ckpt"), &arrows, Some(false)), ChosenOn::Unknown);
    }
}
