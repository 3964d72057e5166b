//! The m3ae binary: pretrain, parity and data commands.
fn main() {}
