//! Names of parameters: the reference implementation's, which are ours but for a few pieces, and those of the
//! publishers whose encoders M3AE starts from. One file per publisher, with a table whose rows say why a name differs.

pub(crate) mod clip;
mod m3ae;
pub(crate) mod swin;
pub(crate) mod text;

pub use m3ae::{Head, from_reference, ignorable, to_reference};
