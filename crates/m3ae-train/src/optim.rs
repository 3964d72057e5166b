//! The optimiser: AdamW over named parameters with the reference's parameter groups, learning-rate schedule, gradient
//! norms (`docs/spec.md`, section 2, "Optimisation").

mod adamw;
mod groups;
mod moments;
mod norms;
mod path;
mod schedule;

pub use adamw::{AdamW, AdamWConfig};
pub(crate) use adamw::{Moments, placeholder};
pub use groups::{Group, Rate};
pub(crate) use moments::{read_moments, write_moments};
pub use norms::{GradientNorms, gradient_norm, gradient_norms};
pub use schedule::{Decay, Schedule};
