//! Applying a checkpoint to a model: strictly, tensor by tensor, with a reason for each one left out.

use m3ae_model::M3ae;

use crate::checkpoint::Checkpoint;
use crate::error::WeightsError;
use crate::names::{Head, ignorable};
use crate::plan::{Plan, Value};
use crate::report::LoadReport;

/// The decoder's fixed position table, which depends on nothing but its size.
const DECODER_POSITIONS: &str = "mim_head.decoder_pos_embed";

/// Differences between checkpoint and model that are allowed. By default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Heads of the model that keep their initial weights, whether or not the file has them.
    pub fresh_heads: Vec<Head>,
    /// Whether heads of the file that the model lacks are left out instead of being unexpected.
    pub drop_heads: bool,
    /// Whether the retrieval head starts from the matching head's row 1, the "matched" logit (docs/spec.md, section
    /// 1.5).
    pub irtr_from_itm: bool,
}

impl LoadOptions {
    /// Options for fine-tuning from a pre-training checkpoint: new question-answering and classification heads, and a
    /// retrieval head that starts from the matching head. Heads that the model lacks are left out.
    #[must_use]
    pub fn fine_tuning() -> Self {
        Self { fresh_heads: vec![Head::Vqa, Head::Cls], drop_heads: true, irtr_from_itm: true }
    }
}

/// Loads every tensor of `checkpoint` into `model`. Stored types are converted to float32; the vision encoder's
/// position table is resized if the model's image size differs.
///
/// # Errors
/// Any tensor that the model lacks, that the file lacks, or whose shape or type differs: all of them, named, with
/// shapes in the file's order, and the model is unchanged. Or a tensor that cannot be read: the model is then partly
/// loaded and must not be used.
pub fn load(model: &mut M3ae, checkpoint: &Checkpoint) -> Result<LoadReport, WeightsError> {
    load_with(model, checkpoint, &LoadOptions::default())
}

/// As [`load`], with exceptions.
///
/// # Errors
/// As [`load`].
pub fn load_with(model: &mut M3ae, checkpoint: &Checkpoint, options: &LoadOptions) -> Result<LoadReport, WeightsError> {
    let mut plan = Plan::new(model, &checkpoint.path);
    let present: Vec<Head> = Head::ALL.into_iter().filter(|head| plan.has(head.prefix())).collect();
    let irtr_from_itm = options.irtr_from_itm && present.contains(&Head::Irtr);
    if irtr_from_itm {
        for end in ["weight", "bias"] {
            match checkpoint.tensors.get(&format!("itm_head.fc.{end}")) {
                Some(itm) => {
                    plan.assign(&format!("irtr_head.{end}"), &format!("itm_head.fc.{end}"), Value::Row(itm.clone(), 1));
                }
                None => plan.problem(format!("missing: itm_head.fc.{end}, from which irtr_head.{end} is to start")),
            }
        }
    }
    for (name, tensor) in &checkpoint.tensors {
        let head = Head::of(name);
        let absent = head.is_some_and(|head| !present.contains(&head));
        if let Some(reason) = ignorable(name) {
            plan.ignore(name, reason);
        } else if head.is_some_and(|head| options.fresh_heads.contains(&head)) {
            plan.ignore(name, "this head starts afresh");
        } else if absent && options.drop_heads {
            plan.ignore(name, "the model has no such head");
        } else if irtr_from_itm && head == Some(Head::Irtr) {
            plan.ignore(name, "the retrieval head starts from the matching head's row 1");
        } else if name == DECODER_POSITIONS && other_grid(plan.needs(name), &tensor.shape) {
            plan.ignore(name, "a fixed table for another image size");
            plan.keep(name, "a fixed table, computed for the model's image size");
        } else {
            plan.assign(name, name, Value::Whole(tensor.clone()));
        }
    }
    for head in &options.fresh_heads {
        plan.keep(head.prefix(), "this head starts afresh");
    }
    plan.apply(model)
}

/// Whether a `[1, 1 + grid², width]` table differs from the needed one in its grid alone.
fn other_grid(needed: Option<&[usize]>, found: &[usize]) -> bool {
    match (needed, found) {
        (Some(&[1, needed, width]), &[1, rows, found_width]) => {
            needed != rows && width == found_width && crate::positions::grid(rows).is_some()
        }
        _ => false,
    }
}
