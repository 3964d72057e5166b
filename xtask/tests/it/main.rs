//! The tasks as a user runs them, and the documentation's links.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on fails.

mod docs;
#[cfg(unix)]
mod tasks;
