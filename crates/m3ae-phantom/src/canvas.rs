//! The picture being drawn: grey values between 0 (black) and 1 (white), painted over with soft-edged shapes.

use image::GrayImage;
use m3ae_random::Generator;

use crate::{
    shapes::{Point, cosine_sine},
    truth::Anatomy,
};

/// A square picture, row after row.
pub(crate) struct Canvas {
    side: u32,
    values: Vec<f32>,
    /// Where each pixel's centre lies in the patient.
    points: Vec<Point>,
    /// The width of a pixel in the patient's frame, in millimetres.
    pixel: f32,
}

impl Canvas {
    /// A black picture of `side` x `side` pixels showing `field` millimetres, with the patient placed in it.
    pub fn new(side: u32, field: f32, anatomy: &Anatomy) -> Self {
        let (cosine, sine) = cosine_sine(anatomy.tilt);
        let step = field / side as f32;
        let mut points = Vec::with_capacity(side as usize * side as usize);
        for row in 0..side {
            for column in 0..side {
                let x = (column as f32 + 0.5) * step - field / 2.0 - anatomy.offset[0];
                let y = (row as f32 + 0.5) * step - field / 2.0 - anatomy.offset[1];
                points.push([(x * cosine + y * sine) / anatomy.scale, (y * cosine - x * sine) / anatomy.scale]);
            }
        }
        Self { side, values: vec![0.0; points.len()], points, pixel: step / anatomy.scale }
    }

    /// Paints `shape` in `value`, its edge blurred over `edge` millimetres (at least a pixel).
    pub fn paint(&mut self, shape: impl Fn(Point) -> f32, edge: f32, value: f32) {
        self.change(shape, edge, |old, _| value - old);
    }

    /// Makes `shape` brighter by `delta` (darker where negative), its edge blurred over `edge` millimetres.
    pub fn add(&mut self, shape: impl Fn(Point) -> f32, edge: f32, delta: f32) {
        self.change(shape, edge, |_, _| delta);
    }

    /// Brightens `shape` as bone does in a projection: by the share `delta` of what is missing to white, so that it
    /// shows in dark surroundings and hardly in bright ones.
    pub fn screen(&mut self, shape: impl Fn(Point) -> f32, edge: f32, delta: f32) {
        self.change(shape, edge, |old, _| delta * (1.0 - old));
    }

    /// Adds `texture` within `shape`.
    pub fn grain(&mut self, shape: impl Fn(Point) -> f32, texture: &Texture, amplitude: f32) {
        self.change(shape, 2.0, |_, point| amplitude * texture.at(point));
    }

    fn change(&mut self, shape: impl Fn(Point) -> f32, edge: f32, delta: impl Fn(f32, Point) -> f32) {
        let width = edge.max(self.pixel);
        for (value, &point) in self.values.iter_mut().zip(&self.points) {
            let coverage = (0.5 - shape(point) / width).clamp(0.0, 1.0);
            if coverage > 0.0 {
                *value += coverage * delta(*value, point);
            }
        }
    }

    /// The picture with this exposure's contrast and brightness, and with its noise where a generator is given.
    pub fn develop(self, anatomy: &Anatomy, mut noise: Option<Generator>) -> GrayImage {
        let mut image = GrayImage::new(self.side, self.side);
        for (pixel, value) in image.pixels_mut().zip(self.values) {
            let mut value = (value - 0.5) * anatomy.contrast + 0.5 + anatomy.brightness;
            if let Some(generator) = &mut noise {
                value += anatomy.noise * bell(generator);
            }
            // Clamped first: the cast cannot overflow.
            pixel.0 = [(value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8];
        }
        image
    }
}

/// A number of mean 0 and variance 1 in -3..3, nearly normal. It is the sum of twelve uniform ones of 16 bits each:
/// unlike a logarithm and a cosine, this is the same on every machine.
fn bell(generator: &mut Generator) -> f32 {
    let mut sum = 0_u32;
    for _ in 0..3 {
        let bits = generator.bits();
        sum += (0..4).map(|i| (bits >> (16 * i)) as u32 & 0xffff).sum::<u32>();
    }
    // Twelve times (uniform - 1/2), each of variance 1/12.
    (sum as f32 - 6.0 * 65_535.0) / 65_536.0
}

/// Smooth, blotchy variation of -1..1: random values on a square grid, blended between its points.
pub(crate) struct Texture {
    values: Vec<f32>,
    cell: f32,
}

impl Texture {
    /// Grid points along each axis; beyond the grid the pattern repeats.
    const POINTS: usize = 32;

    /// A texture whose blotches are about `cell` millimetres wide. It takes equally many draws for every image side.
    pub fn draw(generator: &mut Generator, cell: f32) -> Self {
        Self { values: (0..Self::POINTS * Self::POINTS).map(|_| generator.range(-1.0, 1.0)).collect(), cell }
    }

    fn at(&self, point: Point) -> f32 {
        let [x, y] = [point[0] / self.cell, point[1] / self.cell];
        // The cast rounds towards zero; this is `floor` without a call on processors that lack the instruction.
        let floor = |t: f32| t as i32 - i32::from(t < (t as i32) as f32);
        let [column, row] = [floor(x), floor(y)];
        let wrap = |grid: i32| grid.rem_euclid(Self::POINTS as i32) as usize;
        let value = |column: i32, row: i32| self.values[wrap(row) * Self::POINTS + wrap(column)];
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let [u, v] = [smooth(x - column as f32), smooth(y - row as f32)];
        let above = value(column, row) * (1.0 - u) + value(column + 1, row) * u;
        let below = value(column, row + 1) * (1.0 - u) + value(column + 1, row + 1) * u;
        above * (1.0 - v) + below * v
    }
}

#[cfg(test)]
mod tests {
    use m3ae_random::{Key, Stream};

    use super::*;

    #[test]
    fn noise_has_mean_zero_and_variance_one() {
        let mut generator = Key { seed: 1, epoch: 0, sample: "", stream: Stream::Phantom }.generator();
        let values: Vec<f32> = (0..20_000).map(|_| bell(&mut generator)).collect();
        let mean = values.iter().sum::<f32>() / 20_000.0;
        let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn a_texture_has_no_jumps() {
        let mut generator = Key { seed: 2, epoch: 0, sample: "", stream: Stream::Phantom }.generator();
        let texture = Texture::draw(&mut generator, 10.0);
        let line: Vec<f32> = (-4000..4000).map(|i| texture.at([i as f32 / 20.0, 3.3])).collect();
        assert!(line.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.05));
        assert!(line.iter().any(|v| *v > 0.3) && line.iter().any(|v| *v < -0.3));
    }
}
