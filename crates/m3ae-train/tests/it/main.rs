//! Tests of the crate's public interface.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test that cannot go on fails.

mod pretrain_step;
mod recipe_keys;
mod sizes;
mod tiny;
