//! What the masks promise, over many random inputs.
#[cfg(test)]
mod itm;
#[cfg(test)]
mod patch;
#[cfg(test)]
mod text;
