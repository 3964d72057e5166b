//! Drawing: from a [`Truth`] to pixels, one module per study.

mod abdomen;
mod chest;
mod head;

use image::{GrayImage, Luma};

use crate::{
    PhantomConfig, PhantomError,
    canvas::{Canvas, Texture},
    finding::{FindingKind, Region, Study},
    shapes::{Point, blob},
    truth::{Finding, Truth},
};

/// The grey-level difference from which [`finding_mask`] counts a pixel as changed, of 255.
pub const VISIBLE_DIFFERENCE: u8 = 20;

/// The image of `truth`, `side` x `side` pixels, 8 bits of grey. The same arguments give the same pixels on every
/// machine.
///
/// # Errors
/// [`PhantomError::Config`] where `side` is outside of what [`PhantomConfig`] allows.
pub fn render(truth: &Truth, side: u32) -> Result<GrayImage, PhantomError> {
    PhantomConfig { side, ..PhantomConfig::default() }.validate()?;
    Ok(draw(truth, truth.finding.as_ref(), side).develop(&truth.anatomy, Some(truth.generator("noise"))))
}

/// Where the finding of `truth` is visible: 255 where the finding changes a pixel by at least [`VISIBLE_DIFFERENCE`]
/// against the same patient without it (both without noise), 0 elsewhere; all 0 where the image is normal. Same size as
/// [`render`]'s image.
///
/// # Errors
/// [`PhantomError::Config`] where `side` is outside of what [`PhantomConfig`] allows.
pub fn finding_mask(truth: &Truth, side: u32) -> Result<GrayImage, PhantomError> {
    PhantomConfig { side, ..PhantomConfig::default() }.validate()?;
    let with = draw(truth, truth.finding.as_ref(), side).develop(&truth.anatomy, None);
    let mut mask = draw(truth, None, side).develop(&truth.anatomy, None);
    for (without, with) in mask.pixels_mut().zip(with.pixels()) {
        *without = Luma([if without.0[0].abs_diff(with.0[0]) >= VISIBLE_DIFFERENCE { 255 } else { 0 }]);
    }
    Ok(mask)
}

/// Where a finding may lie: its mean centre on the patient's *left* (mirrored for the right), and how far it may stray.
pub(crate) struct Site {
    pub centre: Point,
    pub reach: [f32; 2],
}

/// The site of a kind of finding in the patient's frame. A kind drawn with a region its profile does not have gets the
/// site of the kind without one.
pub(crate) fn site(kind: FindingKind, region: Option<Region>) -> Site {
    let (centre, reach) = match kind.profile().study {
        Study::HeadCt => head::site(kind, region),
        Study::ChestXray => chest::site(kind, region),
        Study::AbdomenCt => abdomen::site(kind, region),
    };
    Site { centre, reach }
}

/// Draws the patient with `finding`, which need not be the truth's own. Textures are the same with and without it.
fn draw(truth: &Truth, finding: Option<&Finding>, side: u32) -> Canvas {
    let field = match truth.study {
        Study::HeadCt => head::FIELD,
        Study::ChestXray => chest::FIELD,
        Study::AbdomenCt => abdomen::FIELD,
    };
    let mut canvas = Canvas::new(side, field, &truth.anatomy);
    let mut generator = truth.generator("texture");
    let textures = Textures { fine: Texture::draw(&mut generator, 8.0), coarse: Texture::draw(&mut generator, 22.0) };
    // The patient is drawn in millimetres of an average one; a finding's extent is in true millimetres.
    let lesion = finding.map(|finding| Lesion { finding, extent: finding.extent / truth.anatomy.scale });
    let build = truth.anatomy.build;
    match truth.study {
        Study::HeadCt => head::draw(&mut canvas, build, &textures, lesion.as_ref()),
        Study::ChestXray => chest::draw(&mut canvas, build, &textures, lesion.as_ref()),
        Study::AbdomenCt => abdomen::draw(&mut canvas, build, &textures, lesion.as_ref()),
    }
    canvas
}

/// The textures of an image.
struct Textures {
    fine: Texture,
    coarse: Texture,
}

/// A finding with its extent in the patient's frame.
struct Lesion<'a> {
    finding: &'a Finding,
    extent: f32,
}

impl Lesion<'_> {
    /// Its outline as a lobulated ellipse of its extent plus `margin` millimetres on every side.
    fn outline(&self, margin: f32) -> impl Fn(Point) -> f32 + Copy {
        let Finding { centre, aspect, turn, lobes, .. } = *self.finding;
        // Radii whose geometric mean is half of the extent.
        let stretch = aspect.sqrt();
        let radius = self.extent / 2.0;
        blob(centre, [radius * stretch + margin, radius / stretch + margin], turn, lobes)
    }
}

#[cfg(test)]
mod tests;
