//! Axial CT of the head at the level of the lateral ventricles, in the manner of Shepp and Logan.
//!
//! `build`: width of the head, size of the ventricles, depth of the cortex, brightness of the deep grey matter.

use super::{Lesion, Textures};
use crate::{
    canvas::Canvas,
    finding::{Density, FindingKind, Region, Side},
    shapes::{Point, bar, both, ellipse, except, wedge},
};

/// Millimetres shown.
pub(super) const FIELD: f32 = 220.0;

/// Radii of the brain, in millimetres.
const BRAIN: Point = [66.0, 83.0];
const SCALP: f32 = 0.36;
const SKULL: f32 = 1.0;
const GREY_MATTER: f32 = 0.50;
const WHITE_MATTER: f32 = -0.07;
const FLUID: f32 = 0.10;

pub(super) fn site(kind: FindingKind, region: Option<Region>) -> (Point, [f32; 2]) {
    if kind == FindingKind::SubduralHematoma {
        // At the inner table of the skull, beside the middle of the brain.
        return ([BRAIN[0], -6.0], [0.1, 12.0]);
    }
    match region {
        Some(Region::Frontal) => ([32.0, -46.0], [4.0, 5.0]),
        Some(Region::Occipital) => ([29.0, 50.0], [4.0, 5.0]),
        _ => ([42.0, 2.0], [3.0, 5.0]),
    }
}

pub(super) fn draw(canvas: &mut Canvas, build: [f32; 4], textures: &Textures, lesion: Option<&Lesion<'_>>) {
    let breadth = 1.0 + 0.04 * build[0];
    let grown = move |margin: f32| ellipse([0.0, 0.0], [BRAIN[0] * breadth + margin, BRAIN[1] + margin], 0.0);
    let brain = grown(0.0);
    canvas.paint(grown(12.0), 1.5, SCALP);
    canvas.paint(grown(7.5), 1.5, SKULL);
    canvas.paint(grown(1.5), 1.5, FLUID + 0.12);
    canvas.paint(brain, 2.5, GREY_MATTER);
    let cortex = 13.0 + 2.0 * build[2];
    for side in [-1.0, 1.0] {
        let hemisphere =
            ellipse([side * 32.0 * breadth, 0.0], [(BRAIN[0] - cortex) * 0.52, BRAIN[1] - cortex - 4.0], side * 0.03);
        canvas.add(hemisphere, 9.0, WHITE_MATTER);
        canvas.add(ellipse([side * 21.0, 2.0], [8.0, 17.0], -side * 0.18), 4.0, 0.07 + 0.02 * build[3]);
    }
    canvas.grain(brain, &textures.fine, 0.035);
    canvas.grain(brain, &textures.coarse, 0.02);
    // Falx in the midline, in front and behind.
    canvas.add(bar([0.0, -BRAIN[1]], [0.0, -36.0], 2.4), 2.0, -0.16);
    canvas.add(bar([0.0, 40.0], [0.0, BRAIN[1]], 2.4), 2.0, -0.16);
    ventricles(canvas, 1.0 + 0.18 * build[1]);
    if let Some(lesion) = lesion {
        draw_lesion(canvas, brain, lesion);
    }
}

fn ventricles(canvas: &mut Canvas, size: f32) {
    for side in [-1.0, 1.0] {
        // Frontal horn, body, occipital horn: a butterfly.
        canvas.paint(ellipse([side * 10.0, -20.0], [6.0 * size, 15.0 * size], side * 0.22), 2.0, FLUID);
        canvas.paint(ellipse([side * 7.0, 0.0], [3.5 * size, 12.0], -side * 0.12), 2.0, FLUID);
        canvas.paint(ellipse([side * 15.0, 26.0], [5.5 * size, 14.0 * size], -side * 0.28), 2.0, FLUID);
    }
    canvas.paint(ellipse([0.0, 8.0], [2.6 * size, 8.0], 0.0), 2.0, FLUID);
}

fn draw_lesion(canvas: &mut Canvas, brain: impl Fn(Point) -> f32 + Copy, lesion: &Lesion<'_>) {
    let finding = lesion.finding;
    match finding.kind {
        FindingKind::Infarct => {
            let [x, y] = finding.centre;
            // From a tip near the ventricles through the centre out to the cortex.
            let tip = [x * 0.42, y * 0.55];
            let base = [x * 1.35, y * 1.35];
            canvas.paint(both(wedge(tip, base, lesion.extent), brain), 3.0, 0.20);
        }
        FindingKind::BrainMass => {
            canvas.paint(both(lesion.outline(8.0), brain), 4.0, 0.28);
            canvas.paint(both(lesion.outline(0.0), brain), 1.5, 0.78);
            canvas.paint(both(lesion.outline(-4.0), brain), 2.0, 0.14);
        }
        FindingKind::SubduralHematoma => {
            let value = if finding.density == Some(Density::Hypodense) { 0.16 } else { 0.86 };
            let side = finding.side.map_or(1.0, Side::sign);
            // What is left of the cavity beside a larger ellipse that starts `extent` further in: a crescent, which
            // tapers.
            let more = 40.0;
            let pushed = ellipse(
                [-side * (lesion.extent + more), 0.1 * finding.centre[1]],
                [BRAIN[0] + more, BRAIN[1] + more],
                0.0,
            );
            canvas.paint(except(brain, pushed), 2.0, value);
        }
        _ => canvas.paint(both(lesion.outline(0.0), brain), 2.5, 0.88),
    }
}
