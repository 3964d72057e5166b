//! Numbers that tests and the Python programs behind their expected values make alike.

/// `((i + 1)² · 7919 + 13 i) mod 1009 / 1009`: irregular, and exact in any language.
pub(crate) fn pseudo(i: usize) -> f64 {
    (((i + 1) * (i + 1) * 7_919 + 13 * i) % 1_009) as f64 / 1_009.0
}

/// The image of question `i`: numbers of questions differ from image to image.
pub(crate) fn image_of(i: usize) -> usize {
    i * i * 31 % 97
}
