//! Shapes as signed distances: negative inside, positive outside, in millimetres (exact near the outline of an ellipse,
//! approximate far from it). Only `+ - * /` and `sqrt` are used, which are exact on every machine.

/// A point of the patient's frame: x to the image's right, y down, in millimetres.
pub(crate) type Point = [f32; 2];

/// Cosine and sine of the angle whose half has the tangent `t`.
pub(crate) fn cosine_sine(t: f32) -> (f32, f32) {
    let square = t * t;
    ((1.0 - square) / (1.0 + square), 2.0 * t / (1.0 + square))
}

/// An ellipse; `turn` is the tangent of half the angle by which it is turned clockwise.
pub(crate) fn ellipse(centre: Point, radii: Point, turn: f32) -> impl Fn(Point) -> f32 + Copy {
    let (cosine, sine) = cosine_sine(turn);
    let inverse = [1.0 / radii[0], 1.0 / radii[1]];
    let smaller = radii[0].min(radii[1]);
    move |p| {
        let [x, y] = [p[0] - centre[0], p[1] - centre[1]];
        let [u, v] = [(x * cosine + y * sine) * inverse[0], (y * cosine - x * sine) * inverse[1]];
        let square = u * u + v * v;
        if square > 9.0 {
            // Most pixels are far outside of most shapes: some distance that grows will do.
            return 0.5 * (square - 1.0) * smaller;
        }
        let [du, dv] = [u * inverse[0], v * inverse[1]];
        let length = square.sqrt();
        let slope = (du * du + dv * dv).sqrt();
        // First-order distance: the implicit function over its gradient. The gradient vanishes at the centre.
        if slope > 1e-6 { length * (length - 1.0) / slope } else { -smaller }
    }
}

/// An ellipse whose radius varies with the direction by its second and third harmonic, by the relative amplitudes
/// `lobes`.
pub(crate) fn blob(centre: Point, radii: Point, turn: f32, lobes: [f32; 2]) -> impl Fn(Point) -> f32 + Copy {
    let (cosine, sine) = cosine_sine(turn);
    move |p| {
        let [x, y] = [p[0] - centre[0], p[1] - centre[1]];
        let [u, v] = [(x * cosine + y * sine) / radii[0], (y * cosine - x * sine) / radii[1]];
        let length = (u * u + v * v).sqrt().max(1e-6);
        let [c, s] = [u / length, v / length];
        // cos 2a and sin 3a from cos a and sin a.
        let [second, third] = [c * c - s * s, s * (3.0 - 4.0 * s * s)];
        (length / (1.0 + lobes[0] * second + lobes[1] * third) - 1.0) * radii[0].min(radii[1])
    }
}

/// A thick line from `a` to `b` with round ends, `width` across.
pub(crate) fn bar(a: Point, b: Point, width: f32) -> impl Fn(Point) -> f32 + Copy {
    let along = [b[0] - a[0], b[1] - a[1]];
    let square = (along[0] * along[0] + along[1] * along[1]).max(1e-6);
    move |p| {
        let [x, y] = [p[0] - a[0], p[1] - a[1]];
        let t = ((x * along[0] + y * along[1]) / square).clamp(0.0, 1.0);
        let [dx, dy] = [x - t * along[0], y - t * along[1]];
        (dx * dx + dy * dy).sqrt() - width / 2.0
    }
}

/// A wedge with its tip at `tip`, opening towards `base`, where it is `width` across. It has no end.
pub(crate) fn wedge(tip: Point, base: Point, width: f32) -> impl Fn(Point) -> f32 + Copy {
    let along = [base[0] - tip[0], base[1] - tip[1]];
    let length = (along[0] * along[0] + along[1] * along[1]).sqrt().max(1e-3);
    let direction = [along[0] / length, along[1] / length];
    let slope = width / 2.0 / length;
    let norm = (1.0 + slope * slope).sqrt();
    move |p| {
        let [x, y] = [p[0] - tip[0], p[1] - tip[1]];
        let along = x * direction[0] + y * direction[1];
        let across = (x * direction[1] - y * direction[0]).abs();
        (across - slope * along) / norm
    }
}

/// What lies in both shapes.
pub(crate) fn both(a: impl Fn(Point) -> f32 + Copy, b: impl Fn(Point) -> f32 + Copy) -> impl Fn(Point) -> f32 + Copy {
    move |p| a(p).max(b(p))
}

/// What lies in either shape.
pub(crate) fn either(a: impl Fn(Point) -> f32 + Copy, b: impl Fn(Point) -> f32 + Copy) -> impl Fn(Point) -> f32 + Copy {
    move |p| a(p).min(b(p))
}

/// What lies in `a` but not in `b`.
pub(crate) fn except(a: impl Fn(Point) -> f32 + Copy, b: impl Fn(Point) -> f32 + Copy) -> impl Fn(Point) -> f32 + Copy {
    move |p| a(p).max(-b(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_is_negative_and_the_outline_is_zero() {
        let shape = ellipse([10.0, -5.0], [30.0, 20.0], 0.0);
        assert!(shape([10.0, -5.0]) < 0.0 && shape([12.0, -5.0]) < 0.0);
        assert!(shape([40.0, -5.0]).abs() < 1e-3 && shape([10.0, 15.0]).abs() < 1e-3);
        // One millimetre beyond the outline is one millimetre away.
        assert!((shape([41.0, -5.0]) - 1.0).abs() < 0.05, "{}", shape([41.0, -5.0]));
        let round = blob([0.0, 0.0], [20.0, 20.0], 0.3, [0.0, 0.0]);
        assert!(round([0.0, 0.0]) < 0.0 && round([20.0, 0.0]).abs() < 1e-3 && round([0.0, 25.0]) > 4.0);
    }

    #[test]
    fn a_positive_turn_is_clockwise_in_the_image() {
        // tan(22.5 deg): a long horizontal ellipse turned by 45 degrees clockwise points to the lower right.
        let shape = ellipse([0.0, 0.0], [40.0, 5.0], 0.414_213_57);
        assert!(shape([20.0, 20.0]) < 0.0 && shape([20.0, -20.0]) > 0.0);
    }

    #[test]
    fn a_wedge_is_as_wide_as_it_says_at_its_base() {
        let shape = wedge([0.0, 0.0], [50.0, 0.0], 30.0);
        assert!(shape([50.0, 14.9]) < 0.0 && shape([50.0, 15.1]) > 0.0 && shape([-10.0, 0.0]) > 0.0);
    }

    #[test]
    fn shapes_combine_as_sets() {
        let (a, b) = (ellipse([0.0, 0.0], [10.0, 10.0], 0.0), ellipse([10.0, 0.0], [10.0, 10.0], 0.0));
        let (left, middle, right) = ([-5.0, 0.0], [5.0, 0.0], [15.0, 0.0]);
        assert!(both(a, b)(middle) < 0.0 && both(a, b)(left) > 0.0);
        assert!(either(a, b)(left) < 0.0 && either(a, b)(right) < 0.0);
        assert!(except(a, b)(left) < 0.0 && except(a, b)(middle) > 0.0);
        assert!(bar([0.0, 0.0], [10.0, 0.0], 4.0)([5.0, 1.9]) < 0.0);
    }
}
