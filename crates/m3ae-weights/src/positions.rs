//! Position tables for another image size (docs/spec.md, section 1.1): a bicubic resize of the patch grid, with the
//! class row kept.

/// The cubic kernel's parameter, as PyTorch's `interpolate` has it.
const A: f32 = -0.75;

/// Side of the patch grid of a position table with `rows` rows (class row and grid²), if it is square.
pub(crate) fn grid(rows: usize) -> Option<usize> {
    side(rows.checked_sub(1)?)
}

/// The square root of a square.
pub(crate) fn side(square: usize) -> Option<usize> {
    let side = square.isqrt();
    (side > 0 && side * side == square).then_some(side)
}

/// For one output coordinate: the four input coordinates, clamped to the edge, and their weights.
fn taps(output: usize, from: usize, to: usize) -> [(usize, f32); 4] {
    // Half-pixel centres: the centre of output pixel i lies at (i + 0.5) · from / to − 0.5.
    let centre = (output as f32 + 0.5) * (from as f32 / to as f32) - 0.5;
    let (floor, t) = (centre.floor(), centre - centre.floor());
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0; // |x| <= 1
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A; // 1 < |x| < 2
    let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
    let last = from as i64 - 1;
    std::array::from_fn(|i| (((floor as i64 - 1 + i as i64).clamp(0, last)) as usize, weights[i]))
}

/// `[1 + from², width]` -> `[1 + to², width]`, row by row: a grid after a class row, which is copied.
pub(crate) fn resize(table: &[f32], width: usize, from: usize, to: usize) -> Vec<f32> {
    let (class, patches) = table.split_at(width);
    [class, &resize_grid(patches, width, from, to)].concat()
}

/// `[from², width]` -> `[to², width]`, row by row. Bicubic, a = -0.75, half-pixel centres, no antialiasing, edges
/// clamped.
pub(crate) fn resize_grid(table: &[f32], width: usize, from: usize, to: usize) -> Vec<f32> {
    let mut resized = Vec::with_capacity(to * to * width);
    let patch = |row: usize, column: usize| &table[(row * from + column) * width..][..width];
    for row in 0..to {
        let rows = taps(row, from, to);
        for column in 0..to {
            let columns = taps(column, from, to);
            resized.extend((0..width).map(|channel| {
                let line = |r: usize| columns.iter().map(|&(c, weight)| patch(r, c)[channel] * weight).sum::<f32>();
                rows.iter().map(|&(r, weight)| line(r) * weight).sum::<f32>()
            }));
        }
    }
    resized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_class_row_and_square_grid_count_as_a_table() {
        assert_eq!([grid(197), grid(50), grid(2)], [Some(14), Some(7), Some(1)]);
        assert_eq!([grid(0), grid(1), grid(12)], [None, None, None]);
    }

    #[test]
    fn the_same_size_and_constant_tables_stay_as_they_are() {
        let table: Vec<f32> = (0..10 * 3).map(|i| i as f32).collect();
        assert_eq!(resize(&table, 3, 3, 3), table);
        let larger = resize(&[2.5; 10], 1, 3, 7);
        assert!(larger.iter().all(|value| (value - 2.5).abs() < 1e-5), "{larger:?}");
    }

    #[test]
    fn a_resize_matches_the_kernel_worked_out_by_hand() {
        // Two columns 0, 1 (both rows alike) to four: centres -0.25, 0.25, 0.75, 1.25. At 0.25, t = 0.25 and the taps
        // are 0, 0, 1, 1 (clamped): weights of the last two are near(0.75) + far(1.75).
        let small = [9.0, 0.0, 1.0, 0.0, 1.0];
        let large = resize(&small, 1, 2, 4);
        let (x, y) = (0.75_f32, 1.75_f32);
        let near = 1.25 * x.powi(3) - 2.25 * x * x + 1.0;
        let far = -0.75 * y.powi(3) + 3.75 * y * y - 6.0 * y + 3.0;
        assert_eq!(large[0], 9.0);
        assert!((large[2] - (near + far)).abs() < 1e-6, "{large:?}");
        assert!((large[2] + large[3] - 1.0).abs() < 1e-6, "symmetric: {large:?}");
    }
}
