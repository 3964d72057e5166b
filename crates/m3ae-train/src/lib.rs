//! Objectives, optimiser groups, schedule, training loop and run folders.
