//! Patch masks and token masks of masked pre-training: seeded, no I/O.
