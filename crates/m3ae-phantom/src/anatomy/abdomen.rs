//! Axial CT of the upper abdomen with contrast, seen from the feet: the liver is at the image's left.
//!
//! `build`: width of the body, size of the liver, filling of the stomach, thickness of the fat.

use super::{Lesion, Textures};
use crate::{
    canvas::Canvas,
    finding::{FindingKind, Region},
    shapes::{Point, bar, both, either, ellipse, wedge},
};

/// Millimetres shown.
pub(super) const FIELD: f32 = 340.0;

const BODY: Point = [152.0, 114.0];
/// The centre of the kidney of the patient's left; the other is its mirror image.
const KIDNEY: Point = [62.0, 44.0];
const SPLEEN: Point = [104.0, 12.0];
const AORTA: Point = [9.0, 18.0];
const FAT: f32 = 0.20;
const MUSCLE: f32 = 0.44;
const LIVER: f32 = 0.56;
const ENHANCED: f32 = 0.72;
const BONE: f32 = 0.98;
const WATER: f32 = 0.12;

pub(super) fn site(kind: FindingKind, region: Option<Region>) -> (Point, [f32; 2]) {
    match (kind, region) {
        (FindingKind::RenalStone, _) => (KIDNEY, [3.0, 3.0]),
        (FindingKind::RenalCyst, _) => ([KIDNEY[0] + 20.0, KIDNEY[1] + 12.0], [3.0, 3.0]),
        (FindingKind::SplenicInfarct, _) => ([SPLEEN[0] + 6.0, SPLEEN[1]], [2.0, 14.0]),
        (FindingKind::AorticAneurysm, _) => (AORTA, [2.0, 2.0]),
        // The liver's sites are on the patient's left like all others: mirrored, they are at the image's left.
        (_, Some(Region::Anterior)) => ([62.0, -40.0], [7.0, 5.0]),
        _ => ([94.0, 14.0], [5.0, 6.0]),
    }
}

pub(super) fn draw(canvas: &mut Canvas, build: [f32; 4], textures: &Textures, lesion: Option<&Lesion<'_>>) {
    let breadth = 1.0 + 0.03 * build[0];
    let grown = move |margin: f32| ellipse([0.0, 0.0], [BODY[0] * breadth + margin, BODY[1] + margin], 0.0);
    let cavity = grown(-16.0 - 2.0 * build[3]);
    canvas.paint(grown(0.0), 2.0, FAT + 0.08);
    canvas.paint(grown(-3.0), 2.0, FAT);
    canvas.paint(grown(-9.0 - 2.0 * build[3]), 3.0, MUSCLE);
    canvas.paint(cavity, 2.0, FAT);
    spine(canvas);
    ribs(canvas, breadth);

    // Stomach at the image's upper right, with swallowed air in front; bowel loops in the middle.
    let filling = 1.0 + 0.12 * build[2];
    canvas.paint(both(ellipse([66.0, -42.0], [40.0 * filling, 27.0 * filling], 0.12), cavity), 3.0, 0.40);
    canvas.paint(ellipse([66.0, -58.0], [22.0 * filling, 7.0], 0.05), 3.0, 0.03);
    for centre in [[14.0, -18.0], [36.0, -2.0], [-14.0, 0.0]] {
        canvas.paint(ellipse(centre, [12.0, 9.0], 0.2), 3.0, 0.42);
    }

    let liver = both(liver(1.0 + 0.05 * build[1]), cavity);
    canvas.paint(liver, 3.0, LIVER);
    canvas.grain(liver, &textures.fine, 0.025);
    // Portal branches, faintly enhanced.
    canvas.add(bar([-30.0, -12.0], [-72.0, -18.0], 6.0), 4.0, 0.06);
    canvas.add(bar([-62.0, -17.0], [-88.0, 6.0], 5.0), 4.0, 0.05);
    let spleen = both(ellipse(SPLEEN, [25.0, 44.0], -0.16), cavity);
    canvas.paint(spleen, 3.0, LIVER + 0.06);
    canvas.grain(spleen, &textures.fine, 0.02);

    for side in [-1.0, 1.0] {
        // Kidneys last: they are sharp against the fat around them.
        let kidney = ellipse([side * KIDNEY[0], KIDNEY[1]], [24.0, 28.0], side * 0.12);
        canvas.paint(either(kidney, ellipse([side * KIDNEY[0], KIDNEY[1]], [27.0, 31.0], side * 0.12)), 3.0, FAT);
        canvas.paint(kidney, 2.0, ENHANCED);
        canvas.paint(ellipse([side * (KIDNEY[0] - 9.0), KIDNEY[1]], [13.0, 8.0], -side * 0.2), 4.0, FAT + 0.14);
    }
    canvas.paint(ellipse([-18.0, 17.0], [11.0, 8.0], 0.0), 2.0, 0.62);
    canvas.paint(ellipse(AORTA, [10.0, 10.0], 0.0), 2.0, 0.84);
    canvas.grain(grown(0.0), &textures.coarse, 0.015);
    if let Some(lesion) = lesion {
        draw_lesion(canvas, liver, spleen, lesion);
    }
}

fn liver(size: f32) -> impl Fn(Point) -> f32 + Copy {
    let right = ellipse([-78.0, -8.0], [66.0 * size, 76.0 * size], 0.10);
    let left = ellipse([-22.0, -48.0], [58.0 * size, 28.0 * size], 0.06);
    either(right, left)
}

fn spine(canvas: &mut Canvas) {
    for side in [-1.0, 1.0] {
        canvas.paint(ellipse([side * 30.0, 56.0], [12.0, 17.0], side * 0.2), 3.0, MUSCLE);
        canvas.paint(ellipse([side * 32.0, 86.0], [25.0, 13.0], side * 0.08), 3.0, MUSCLE);
        canvas.paint(bar([0.0, 74.0], [side * 30.0, 70.0], 7.0), 3.0, BONE - 0.15);
    }
    canvas.paint(bar([0.0, 74.0], [0.0, 98.0], 8.0), 3.0, BONE - 0.1);
    canvas.paint(ellipse([0.0, 70.0], [15.0, 12.0], 0.0), 2.0, BONE - 0.06);
    canvas.paint(ellipse([0.0, 71.0], [8.0, 7.0], 0.0), 2.0, 0.38);
    canvas.paint(ellipse([0.0, 50.0], [22.0, 17.0], 0.0), 2.0, BONE);
    canvas.paint(ellipse([0.0, 50.0], [18.0, 13.0], 0.0), 4.0, BONE - 0.16);
}

fn ribs(canvas: &mut Canvas, breadth: f32) {
    // Unit directions around the body, cut obliquely by the plane: (x, y, turn).
    for [x, y, turn] in [[0.99, 0.10, 1.0], [0.93, -0.36, 0.7], [0.87, 0.49, -0.75], [0.66, 0.75, -0.45]] {
        for side in [-1.0, 1.0] {
            let centre = [side * x * (BODY[0] * breadth - 13.0), y * (BODY[1] - 13.0)];
            canvas.paint(ellipse(centre, [10.0, 3.6], side * turn), 2.0, BONE - 0.05);
        }
    }
}

fn draw_lesion(
    canvas: &mut Canvas,
    liver: impl Fn(Point) -> f32 + Copy,
    spleen: impl Fn(Point) -> f32 + Copy,
    lesion: &Lesion<'_>,
) {
    let finding = lesion.finding;
    let [x, y] = finding.centre;
    let radius = lesion.extent / 2.0;
    match finding.kind {
        FindingKind::LiverCyst => canvas.paint(both(ellipse([x, y], [radius, radius], 0.0), liver), 1.5, WATER),
        FindingKind::LiverMass => {
            canvas.paint(both(lesion.outline(0.0), liver), 3.0, 0.90);
            canvas.paint(both(lesion.outline(-0.35 * lesion.extent), liver), 4.0, 0.74);
        }
        FindingKind::RenalStone => canvas.paint(lesion.outline(0.0), 1.5, 1.0),
        FindingKind::RenalCyst => {
            // A growing cyst bulges outwards: its medial border stays in the kidney.
            let outwards = if x < 0.0 { -1.0 } else { 1.0 };
            let centre = [x + outwards * (radius - 14.0) * 0.5, y + (radius - 14.0) * 0.3];
            canvas.paint(ellipse(centre, [radius + 2.0, radius + 2.0], 0.0), 1.5, 0.55);
            canvas.paint(ellipse(centre, [radius, radius], 0.0), 1.5, WATER - 0.04);
        }
        FindingKind::SplenicInfarct => {
            let tip = [SPLEEN[0] - 20.0, y * 0.8 + SPLEEN[1] * 0.2];
            canvas.paint(both(wedge(tip, [x + 18.0, y], lesion.extent), spleen), 3.0, 0.28);
        }
        _ => {
            // An aneurysm: thrombus along the wall around the enhanced lumen. It lifts off the spine, towards the
            // front.
            let centre = [x, y - (radius - 10.0) * 0.8];
            canvas.paint(ellipse(centre, [radius, radius], 0.0), 2.0, 0.50);
            canvas.paint(ellipse(centre, [radius - 4.0, radius - 4.0], 0.0), 2.0, 0.92);
        }
    }
}
