//! Images of the reference, and images that are hostile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod golden;
#[path = "../../../../tests/golden/locate.rs"]
mod locate;
#[cfg(target_os = "linux")]
mod memory;
