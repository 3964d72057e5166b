//! Images of the reference, and images that are hostile.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod golden;
#[cfg(target_os = "linux")]
mod memory;
