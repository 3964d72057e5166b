//! Posteroanterior chest X-ray: a projection, so that ribs and vessels add to what lies behind them.
//!
//! `build`: width of the chest, height of the diaphragm, width of the heart, gas in the stomach.

use super::{Lesion, Textures};
use crate::{
    canvas::Canvas,
    finding::{FindingKind, Region, Side},
    shapes::{Point, bar, blob, both, either, ellipse, except},
};

/// Millimetres shown.
pub(super) const FIELD: f32 = 340.0;

/// A lung's centre and radii on the patient's left, in millimetres, before the diaphragm cuts it.
const LUNG: [Point; 2] = [[67.0, 6.0], [54.0, 126.0]];
/// Where the dome of the diaphragm is highest, below the image's centre.
const DOME: f32 = 86.0;
const SOFT_TISSUE: f32 = 0.60;
const AIRY_LUNG: f32 = 0.22;
const OPAQUE: f32 = 0.82;

pub(super) fn site(kind: FindingKind, region: Option<Region>) -> (Point, [f32; 2]) {
    match (kind, region) {
        (FindingKind::Cardiomegaly, _) => ([12.0, 48.0], [1.0, 2.0]),
        (FindingKind::PleuralEffusion, _) => ([LUNG[0][0], DOME], [3.0, 3.0]),
        (FindingKind::Pneumothorax, _) => (LUNG[0], [3.0, 3.0]),
        (_, Some(Region::Upper)) => ([66.0, -66.0], [7.0, 6.0]),
        (_, Some(Region::Lower)) => ([80.0, 58.0], [6.0, 6.0]),
        _ => ([74.0, -4.0], [7.0, 6.0]),
    }
}

pub(super) fn draw(canvas: &mut Canvas, build: [f32; 4], textures: &Textures, lesion: Option<&Lesion<'_>>) {
    let breadth = 1.0 + 0.05 * build[0];
    // The patient's right dome is the higher one, over the liver.
    let dome = [DOME + 4.0 - 6.0 * build[1], DOME - 4.0 - 6.0 * build[1]];
    let body = either(
        ellipse([0.0, 70.0], [152.0 * breadth, 205.0], 0.0),
        either(bar([-40.0, -122.0], [-190.0, -78.0], 66.0), bar([40.0, -122.0], [190.0, -78.0], 66.0)),
    );
    let neck = bar([0.0, -180.0], [0.0, -100.0], 78.0);
    canvas.paint(either(body, neck), 8.0, SOFT_TISSUE - 0.12);
    canvas.add(both(body, ellipse([0.0, 40.0], [132.0 * breadth, 190.0], 0.0)), 30.0, 0.12);

    let lung = move |side: Side| lung(side, breadth, dome);
    for side in [Side::Left, Side::Right] {
        canvas.paint(lung(side), 5.0, AIRY_LUNG);
    }
    // Below the diaphragm: dense organs, and gas of the stomach on the patient's left.
    canvas.screen(ellipse([0.0, 190.0], [134.0, 112.0], 0.0), 12.0, 0.30);
    canvas.add(ellipse([68.0, dome[0] + 26.0], [20.0, 10.0 + 3.0 * build[3]], 0.0), 8.0, -0.22 - 0.08 * build[3]);
    for side in [Side::Left, Side::Right] {
        vessels(canvas, side);
        canvas.grain(lung(side), &textures.fine, 0.03);
        canvas.grain(lung(side), &textures.coarse, 0.03);
    }
    if let Some(lesion) = lesion {
        draw_in_lung(canvas, lesion, lung, dome);
    }
    mediastinum(canvas, build, lesion);
    ribs(canvas, breadth);
}

fn lung(side: Side, breadth: f32, dome: [f32; 2]) -> impl Fn(Point) -> f32 + Copy {
    let sign = side.sign();
    let [centre, radii] = LUNG;
    let top = match side {
        Side::Left => dome[0],
        Side::Right => dome[1],
    };
    let cavity = ellipse([sign * centre[0] * breadth, centre[1]], [radii[0] * breadth, radii[1]], sign * 0.035);
    // A dome: a broad ellipse that rises to `top` beneath the lung.
    let diaphragm = ellipse([sign * 60.0, top + 80.0], [92.0, 80.0], 0.0);
    except(cavity, diaphragm)
}

fn vessels(canvas: &mut Canvas, side: Side) {
    let x = side.sign();
    canvas.add(ellipse([x * 34.0, -8.0], [12.0, 20.0], x * 0.1), 12.0, 0.22);
    for (end, width) in
        [([72.0, -58.0], 6.0), ([52.0, -76.0], 5.0), ([88.0, -14.0], 5.0), ([84.0, 40.0], 6.0), ([58.0, 58.0], 6.0)]
    {
        canvas.add(bar([x * 36.0, -6.0], [x * end[0], end[1]], width), 8.0, 0.07);
    }
}

fn mediastinum(canvas: &mut Canvas, build: [f32; 4], lesion: Option<&Lesion<'_>>) {
    canvas.paint(bar([0.0, -150.0], [0.0, 200.0], 44.0), 8.0, 0.70);
    // Aortic knob on the patient's left.
    canvas.paint(ellipse([22.0, -46.0], [15.0, 17.0], 0.0), 6.0, 0.72);
    let heart = match lesion {
        Some(lesion) if lesion.finding.kind == FindingKind::Cardiomegaly => lesion.extent,
        _ => 112.0 + 7.0 * build[2],
    };
    let enlargement = heart - 112.0;
    // An enlarged heart grows towards the patient's left above all.
    let centre = [14.0 + 0.16 * enlargement, 46.0 - 0.12 * enlargement];
    canvas.paint(ellipse(centre, [heart / 2.0, 46.0 + 0.22 * enlargement], 0.20), 5.0, 0.77);
    canvas.add(bar([0.0, -160.0], [0.0, -42.0], 14.0), 5.0, -0.22);
    // Vertebrae shine through: bodies brighter than the discs between them.
    for level in 0..13 {
        let y = -150.0 + 25.0 * level as f32;
        canvas.screen(ellipse([0.0, y], [15.0, 9.0], 0.0), 4.0, 0.2);
    }
}

fn ribs(canvas: &mut Canvas, breadth: f32) {
    for side in [-1.0, 1.0] {
        for level in 0..9 {
            let y = -118.0 + 25.0 * level as f32;
            let spread = (74.0 + 7.0 * level as f32).min(120.0) * breadth;
            // The posterior arch: rising from the spine, then falling along the chest wall.
            let arch = move |p: Point| {
                let x = side * p[0];
                let t = (x - 0.45 * spread) / spread;
                let height = y - 8.0 + 62.0 * t * t;
                ((p[1] - height).abs() - 3.0).max(14.0 - x).max(x - spread)
            };
            canvas.screen(arch, 4.0, 0.16);
        }
        canvas.screen(bar([side * 14.0, -104.0], [side * 112.0, -124.0], 9.0), 4.0, 0.26);
    }
}

/// The findings of the lung and its pleura. Heart and ribs, drawn later, project over them as they do over the lung.
fn draw_in_lung<S: Fn(Point) -> f32 + Copy>(
    canvas: &mut Canvas,
    lesion: &Lesion<'_>,
    lung: impl Fn(Side) -> S,
    dome: [f32; 2],
) {
    let finding = lesion.finding;
    let side = finding.side.unwrap_or(Side::Left);
    let lung = lung(side);
    let [x, y] = finding.centre;
    match finding.kind {
        FindingKind::LungNodule | FindingKind::LungMass => {
            canvas.paint(both(lesion.outline(0.0), lung), 3.0, OPAQUE);
        }
        FindingKind::Consolidation => {
            // Hazy and across the lung, with air-filled bronchi left dark in it.
            let radii = [46.0_f32.min(lesion.extent * 0.62), lesion.extent / 2.0];
            let haze = both(blob([x, y], radii, finding.turn * 0.4, finding.lobes), lung);
            canvas.paint(haze, 14.0, 0.68);
            for shift in [-0.45, 0.1, 0.6] {
                let end = [x + side.sign() * radii[0] * 0.7, y + shift * radii[1]];
                let start = [x - side.sign() * radii[0] * 0.6, y + 0.2 * shift * radii[1]];
                canvas.add(both(bar(start, end, 4.0), haze), 3.0, -0.14);
            }
        }
        FindingKind::PleuralEffusion => {
            let bottom = match side {
                Side::Left => dome[0],
                Side::Right => dome[1],
            };
            // The fluid climbs along the chest wall: a meniscus.
            let level = bottom + 24.0 - lesion.extent;
            let fluid = move |p: Point| {
                let outwards = side.sign() * p[0] - 64.0;
                level - p[1] - 0.006 * outwards * outwards.abs()
            };
            canvas.paint(both(fluid, lung), 5.0, OPAQUE);
        }
        FindingKind::Pneumothorax => {
            // The lung shrinks towards its root by the width of the rim; the rim holds air and no markings.
            let [centre, radii] = LUNG;
            let collapsed = ellipse(
                [side.sign() * (centre[0] - lesion.extent / 2.0), centre[1] + lesion.extent * 0.45],
                [radii[0] - lesion.extent / 2.0, radii[1] - lesion.extent * 0.45],
                side.sign() * 0.035,
            );
            canvas.add(both(collapsed, lung), 3.0, 0.0012 * lesion.extent);
            canvas.paint(except(lung, collapsed), 3.0, 0.0);
            let pleura = move |p: Point| collapsed(p).abs() - 1.5;
            canvas.add(both(pleura, lung), 3.0, 0.22);
        }
        _ => {}
    }
}
