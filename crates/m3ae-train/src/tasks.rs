//! The tasks that a model can be trained for.

use crate::error::TrainError;
use crate::finetune::{CLASSIFICATION, QUESTION_ANSWERING, RETRIEVAL};
use crate::pretrain::PRETRAINING;
use crate::recipe::RunConfigError;
use crate::task::TaskSpec;

/// All tasks, a line each: to add one, write its file and name it here.
pub static TASKS: [&TaskSpec; 4] = [&PRETRAINING, &QUESTION_ANSWERING, &CLASSIFICATION, &RETRIEVAL];

/// The task of this name, `task.kind` in a recipe.
///
/// # Errors
/// There is no such task; the error names the key and the tasks there are.
pub fn find_task(name: &str) -> Result<&'static TaskSpec, TrainError> {
    TASKS.into_iter().find(|task| task.name == name).ok_or_else(|| {
        let names: Vec<&str> = TASKS.iter().map(|task| task.name).collect();
        let problem = format!("there is no task {name:?}; choose one of {}", names.join(", "));
        RunConfigError::value("task.kind", problem).into()
    })
}

/// What a metric of a task measures, for people; the name itself where it is not a task's.
#[must_use]
pub fn describe_metric(name: &str) -> &str {
    let known = TASKS.iter().flat_map(|task| task.metrics).find(|(known, _)| *known == name);
    known.map_or(name, |(_, description)| description)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_found_by_name_and_unknown_ones_are_refused_with_the_key() {
        for task in TASKS {
            assert_eq!(find_task(task.name).unwrap().name, task.name);
            assert!(task.metrics.iter().all(|(name, description)| describe_metric(name) == *description));
        }
        let error = find_task("captioning").map(|task| task.name).unwrap_err().to_string();
        assert!(
            error.starts_with("task.kind: there is no task \"captioning\"; choose one of pretraining, "),
            "{error}"
        );
        assert_eq!(describe_metric("lr"), "lr");
    }
}
