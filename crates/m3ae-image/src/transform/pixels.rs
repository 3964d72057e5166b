//! Changes of 8-bit RGB images, as Pillow makes them: what RandAugment chooses from.
//!
//! Reproduced from Pillow's documented and observable behaviour: lookup tables cut towards zero, `blend` in single
//! precision cut towards zero, luma as `(19595 R + 38470 G + 7471 B + 2^15) >> 16`, the 3×3 smoothing that leaves the
//! border alone, and nearest-neighbour geometry in 16.16 fixed point with black outside.

/// An image of red, green and blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rgb {
    pub width: usize,
    pub height: usize,
    /// Rows from the top.
    pub pixels: Vec<[u8; 3]>,
}

impl Rgb {
    /// Each value of each channel through that channel's table.
    fn look_up(&mut self, tables: &[[u8; 256]; 3]) {
        for pixel in &mut self.pixels {
            for (value, table) in pixel.iter_mut().zip(tables) {
                *value = table[usize::from(*value)];
            }
        }
    }

    /// Each value through one function.
    fn map(&mut self, change: impl Fn(u8) -> u8) {
        let table = std::array::from_fn(|value| change(value as u8));
        self.look_up(&[table; 3]);
    }

    fn histograms(&self) -> [[u64; 256]; 3] {
        let mut counts = [[0; 256]; 3];
        for pixel in &self.pixels {
            for (&value, counts) in pixel.iter().zip(&mut counts) {
                counts[usize::from(value)] += 1;
            }
        }
        counts
    }

    /// Stretches each channel to 0–255; a channel of one value stays.
    pub fn auto_contrast(&mut self) {
        let tables = self.histograms().map(|counts| {
            let low = counts.iter().position(|&n| n > 0).unwrap_or(0);
            let high = counts.iter().rposition(|&n| n > 0).unwrap_or(0);
            if high <= low {
                return identity();
            }
            let scale = 255.0 / (high - low) as f64;
            let offset = -(low as f64) * scale;
            // A cast cuts towards zero and keeps to 0–255.
            std::array::from_fn(|value| (value as f64 * scale + offset) as u8)
        });
        self.look_up(&tables);
    }

    /// Spreads each channel's values evenly over its histogram; with too few pixels or one value it stays.
    pub fn equalize(&mut self) {
        let tables = self.histograms().map(|counts| {
            let last = counts.iter().rev().find(|&&n| n > 0).copied().unwrap_or(0);
            let step = (counts.iter().sum::<u64>() - last) / 255;
            if step == 0 {
                return identity();
            }
            let mut below = step / 2;
            counts.map(|n| {
                let value = (below / step).min(255) as u8;
                below += n;
                value
            })
        });
        self.look_up(&tables);
    }

    /// The negative.
    pub fn invert(&mut self) {
        self.map(|value| 255 - value);
    }

    /// Keeps the `bits` highest bits of each value, 1 to 8.
    pub fn posterize(&mut self, bits: u32) {
        let mask = !(0xFF_u8.checked_shr(bits).unwrap_or(0));
        self.map(|value| value & mask);
    }

    /// Inverts the values from `threshold` on.
    pub fn solarize(&mut self, threshold: f32) {
        self.map(|value| if f32::from(value) < threshold { value } else { 255 - value });
    }

    /// Adds, keeps to 0–255, and inverts from 128 on.
    pub fn solarize_add(&mut self, addition: u8) {
        self.map(|value| value.saturating_add(addition));
        self.solarize(128.0);
    }

    /// Towards grey for factors below 1.
    pub fn color(&mut self, factor: f32) {
        for pixel in &mut self.pixels {
            let grey = luma(*pixel);
            *pixel = pixel.map(|value| blend(grey, value, factor));
        }
    }

    /// Towards the mean grey for factors below 1.
    pub fn contrast(&mut self, factor: f32) {
        let sum: u64 = self.pixels.iter().map(|&pixel| u64::from(luma(pixel))).sum();
        let mean = (sum as f64 / self.pixels.len() as f64 + 0.5) as u8;
        self.map(|value| blend(mean, value, factor));
    }

    /// Towards black for factors below 1.
    pub fn brightness(&mut self, factor: f32) {
        self.map(|value| blend(0, value, factor));
    }

    /// Towards a smoothed image for factors below 1. The smoothing weighs a pixel 5 and its neighbours 1 each; the
    /// border stays.
    pub fn sharpness(&mut self, factor: f32) {
        let (width, height) = (self.width, self.height);
        let before = self.pixels.clone();
        for y in 1..height.saturating_sub(1) {
            for x in 1..width.saturating_sub(1) {
                let at = y * width + x;
                let smooth: [u8; 3] = std::array::from_fn(|channel| {
                    let value = |at: usize| u32::from(before[at][channel]);
                    let line = |at: usize| value(at - 1) + value(at) + value(at + 1);
                    let sum = line(at - width) + line(at) + line(at + width) + 4 * value(at);
                    // sum / 13, rounded; no sum lies halfway.
                    ((2 * sum + 13) / 26) as u8
                });
                self.pixels[at] = std::array::from_fn(|channel| blend(smooth[channel], before[at][channel], factor));
            }
        }
    }

    /// A rectangle of one colour, corners included, as far as it is inside.
    pub fn rectangle(&mut self, (left, top): (usize, usize), (right, bottom): (usize, usize), colour: [u8; 3]) {
        let end = right.saturating_add(1).min(self.width);
        for row in self.pixels.chunks_exact_mut(self.width).take(bottom.saturating_add(1)).skip(top) {
            row[left.min(end)..end].fill(colour);
        }
    }

    /// Each pixel (x, y) from (a x + b y + c, d x + e y + f), pixel centres at halves, the nearest; black from outside.
    pub fn affine(&mut self, [a, b, c, d, e, f]: [f64; 6]) {
        let fix = |value: f64| (value * 65536.0 + 0.5).floor() as i64;
        let (steps_x, steps_y) = ((fix(a), fix(d)), (fix(b), fix(e)));
        let origin = (fix(c + 0.5 * a + 0.5 * b), fix(f + 0.5 * d + 0.5 * e));
        let inside = |position: i64, length: usize| usize::try_from(position >> 16).ok().filter(|&at| at < length);
        let mut moved = Vec::with_capacity(self.pixels.len());
        for y in 0..self.height as i64 {
            let mut from = (origin.0 + y * steps_y.0, origin.1 + y * steps_y.1);
            for _ in 0..self.width {
                let source = inside(from.0, self.width).zip(inside(from.1, self.height));
                moved.push(source.map_or([0; 3], |(x, y)| self.pixels[y * self.width + x]));
                from = (from.0 + steps_x.0, from.1 + steps_x.1);
            }
        }
        self.pixels = moved;
    }

    /// Turns around the middle, counter-clockwise.
    pub fn rotate(&mut self, degrees: f64) {
        let (sin, cos) = (-degrees.to_radians()).sin_cos();
        let (x, y) = (self.width as f64 / 2.0, self.height as f64 / 2.0);
        self.affine([cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]);
    }
}

fn identity() -> [u8; 256] {
    std::array::from_fn(|value| value as u8)
}

/// Brightness as the eye weighs it.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    ((19_595 * u32::from(red) + 38_470 * u32::from(green) + 7_471 * u32::from(blue) + 0x8000) >> 16) as u8
}

/// From `from` (factor 0) to `to` (factor 1), and beyond.
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    let (from, to) = (f32::from(from), f32::from(to));
    (from + factor * (to - from)) as u8
}

#[cfg(test)]
mod tests;
