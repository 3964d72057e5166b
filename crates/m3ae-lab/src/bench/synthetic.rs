//! Pictures and texts of the synthetic set, by number.

use anyhow::{Context, Result};
use m3ae_image::{Image, Layout};
use m3ae_phantom::{MAX_CAPTIONS_PER_IMAGE, MIN_SIDE, Truth, captions, render};

/// A picture of about that side.
pub fn picture(number: usize, side: usize) -> Result<Image> {
    let drawn = render(&Truth::draw(0, &number.to_string()), (side as u32).max(MIN_SIDE))?;
    let (width, height) = (drawn.width() as usize, drawn.height() as usize);
    Image::new(width, height, Layout::Grey, drawn.into_raw()).context("a picture's bytes are not as many as its pixels")
}

/// A text that is as long as any model reads.
pub fn caption(number: usize) -> String {
    captions(&Truth::draw(0, &number.to_string()), MAX_CAPTIONS_PER_IMAGE).join(" ")
}
