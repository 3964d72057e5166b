//! Pillow's results, worked out by hand from its definitions.

use super::*;

fn image(width: usize, pixels: &[[u8; 3]]) -> Rgb {
    Rgb { width, height: pixels.len() / width, pixels: pixels.to_vec() }
}

fn greys(width: usize, values: &[u8]) -> Rgb {
    image(width, &values.iter().map(|&value| [value; 3]).collect::<Vec<_>>())
}

fn values(image: &Rgb) -> Vec<u8> {
    image.pixels.iter().map(|pixel| pixel[0]).collect()
}

/// What a change makes of a line of grey values.
fn changed(line: &[u8], change: impl Fn(&mut Rgb)) -> Vec<u8> {
    let mut image = greys(line.len(), line);
    change(&mut image);
    values(&image)
}

#[test]
fn values_are_stretched_and_spread_and_single_values_stay() {
    // 255/200: 60 -> 12.75, cut; 160 -> 140.25.
    assert_eq!(changed(&[50, 60, 160, 250], Rgb::auto_contrast), [0, 12, 140, 255]);
    assert_eq!(changed(&[9, 9], Rgb::auto_contrast), [9, 9]);
    // 1000 pixels of 3 values: step (1000 - 100)/255 = 3, so 1/3 = 0, then (1 + 510)/3 = 170, then (1 + 900)/3 cut to
    // 255.
    let line = [vec![10; 510], vec![20; 390], vec![30; 100]].concat();
    assert_eq!(changed(&line, Rgb::equalize), [vec![0; 510], vec![170; 390], vec![255; 100]].concat());
    assert_eq!(changed(&[7; 600], Rgb::equalize), [7; 600]);
    assert_eq!(changed(&[1, 2, 3], Rgb::equalize), [1, 2, 3]);
}

#[test]
fn tables_are_exact() {
    assert_eq!(changed(&[0, 1, 255], Rgb::invert), [255, 254, 0]);
    assert_eq!(changed(&[127, 128, 255], |image| image.posterize(1)), [0, 128, 128]);
    assert_eq!(changed(&[127, 13, 255], |image| image.posterize(4)), [112, 0, 240]);
    assert_eq!(changed(&[200, 3], |image| image.posterize(8)), [200, 3]);
    assert_eq!(changed(&[76, 77, 255], |image| image.solarize(76.8)), [76, 178, 0]);
    assert_eq!(changed(&[0, 94, 95, 250], |image| image.solarize_add(33)), [33, 127, 127, 0]);
}

#[test]
fn blends_are_cut_towards_zero() {
    assert_eq!(changed(&[10, 101, 255], |image| image.brightness(0.64)), [6, 64, 163]);
    // The mean of 10 and 101 is 55.5, rounded 56: 56 + 0.5·(10 - 56) = 33; 56 + 0.5·45 = 78.5.
    assert_eq!(changed(&[10, 101], |image| image.contrast(0.5)), [33, 78]);
    let mut colours = image(1, &[[255, 0, 0]]);
    colours.color(0.0);
    assert_eq!(colours.pixels, [[76; 3]]);
    // 255 + 1.5·255 is kept to 255, and below zero to 0.
    assert_eq!(changed(&[0, 200], |image| image.contrast(2.5)), [0, 255]);
}

#[test]
fn smoothing_leaves_the_border_and_takes_a_thirteenth_per_neighbour() {
    let mut dot = greys(3, &[0, 0, 0, 0, 130, 0, 0, 0, 0]);
    dot.sharpness(0.0);
    assert_eq!(values(&dot), [0, 0, 0, 0, 50, 0, 0, 0, 0]);
    let mut ring = greys(3, &[13, 13, 13, 13, 0, 13, 13, 13, 13]);
    ring.sharpness(0.0);
    assert_eq!(values(&ring)[4], 8);
    for (width, height) in [(1, 1), (2, 5), (5, 2), (1, 9)] {
        let small = greys(width, &vec![9; width * height]);
        let mut same = small.clone();
        same.sharpness(0.3);
        assert_eq!(same, small);
    }
}

#[test]
fn geometry_takes_the_nearest_pixel_and_black_from_outside() {
    let line = [1, 2, 3, 4];
    assert_eq!(changed(&line, |image| image.affine([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])), [2, 3, 4, 0]);
    assert_eq!(changed(&line, |image| image.affine([1.0, 0.0, -1.4, 0.0, 1.0, 0.0])), [0, 1, 2, 3]);
    assert_eq!(changed(&line, |image| image.affine([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])), line);
    // Sheared by half a pixel per row: x + 0.5·(y + 0.5) + 0.5.
    let mut square = greys(3, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    square.affine([1.0, 0.5, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(values(&square), [1, 2, 3, 5, 6, 0, 8, 9, 0]);
}

#[test]
fn turns_are_counter_clockwise_about_the_middle() {
    let mut square = greys(3, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    square.rotate(90.0);
    assert_eq!(values(&square), [3, 6, 9, 2, 5, 8, 1, 4, 7]);
    square.rotate(-90.0);
    assert_eq!(values(&square), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let mut tilted = greys(9, &[200; 81]);
    tilted.rotate(9.0);
    let values = values(&tilted);
    assert_eq!((values[40], values[0], values[80]), (200, 0, 0));
}

#[test]
fn rectangles_include_their_corners_and_end_at_the_border() {
    let mut plain = greys(4, &[0; 16]);
    plain.rectangle((2, 1), (9, 2), [7; 3]);
    assert_eq!(values(&plain), [0, 0, 0, 0, 0, 0, 7, 7, 0, 0, 7, 7, 0, 0, 0, 0]);
    let before = plain.clone();
    plain.rectangle((4, 4), (9, 9), [1; 3]);
    assert_eq!(plain, before);
}
