//! The vocabulary of the truth: what can be imaged, what can be found in it, and where.

use serde::{Deserialize, Serialize};

/// What was imaged: body part, modality and view in one, as each phantom has exactly one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Study {
    /// Axial CT of the head at the level of the lateral ventricles, nose at the top.
    HeadCt,
    /// Posteroanterior chest X-ray.
    ChestXray,
    /// Axial CT of the upper abdomen with contrast, patient's front at the top.
    AbdomenCt,
}

impl Study {
    /// Every study.
    pub const ALL: [Self; 3] = [Self::HeadCt, Self::ChestXray, Self::AbdomenCt];
}

/// A side of the *patient*. Radiological convention: the patient's left is at the image's right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The patient's left: the right half of the image.
    Left,
    /// The patient's right: the left half of the image.
    Right,
}

impl Side {
    /// The sign of this side's horizontal image coordinate, which grows to the image's right.
    #[must_use]
    pub fn sign(self) -> f32 {
        match self {
            Self::Left => 1.0,
            Self::Right => -1.0,
        }
    }

    /// The other side.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// Where within its organ a finding lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// Frontal lobe of the brain.
    Frontal,
    /// Parietal lobe of the brain.
    Parietal,
    /// Occipital lobe of the brain.
    Occipital,
    /// Upper third of a lung.
    Upper,
    /// Middle third of a lung.
    Middle,
    /// Lower third of a lung.
    Lower,
    /// Front of the right lobe of the liver.
    Anterior,
    /// Back of the right lobe of the liver.
    Posterior,
}

/// How large a finding is for its kind; [`Finding::extent`](crate::Finding::extent) has the millimetres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// Small (of cardiomegaly: mild).
    Small,
    /// Large (of cardiomegaly: marked).
    Large,
}

/// Brighter or darker than the tissue around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Density {
    /// Brighter: hyperdense on CT, radiopaque on X-ray.
    Hyperdense,
    /// Darker: hypodense on CT, radiolucent on X-ray.
    Hypodense,
}

/// What is abnormal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Head: a bright, lobulated bleeding within the brain. Extent: diameter.
    Hemorrhage,
    /// Head: a dark wedge that widens towards the cortex. Extent: width at the cortex.
    Infarct,
    /// Head: a dark mass with a bright rim and oedema around it. Extent: diameter of the rim.
    BrainMass,
    /// Head: a crescent between skull and brain, bright (acute) or dark (chronic). Extent: thickness.
    SubduralHematoma,
    /// Chest: a round opacity of at most 30 mm, always small. Extent: diameter.
    LungNodule,
    /// Chest: a round opacity of more than 30 mm, always large. Extent: diameter.
    LungMass,
    /// Chest: a hazy opacity across a zone of the lung. Extent: height.
    Consolidation,
    /// Chest: fluid at the lung base with a meniscus. Extent: height of the fluid.
    PleuralEffusion,
    /// Chest: a black rim of air lateral to the collapsed lung. Extent: width of the rim.
    Pneumothorax,
    /// Chest: an enlarged heart. Extent: its transverse diameter.
    Cardiomegaly,
    /// Abdomen: a dark, sharp, round lesion of the liver. Extent: diameter.
    LiverCyst,
    /// Abdomen: a bright, lobulated lesion of the liver. Extent: diameter.
    LiverMass,
    /// Abdomen: a very bright stone in the middle of a kidney. Extent: diameter.
    RenalStone,
    /// Abdomen: a dark, round lesion at a kidney's lateral border. Extent: diameter.
    RenalCyst,
    /// Abdomen: a dark wedge of the spleen. Extent: width at the capsule.
    SplenicInfarct,
    /// Abdomen: a widened aorta. Extent: its diameter.
    AorticAneurysm,
}

/// Which truths a [`FindingKind`] can have; every list is drawn from uniformly.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Where it occurs.
    pub study: Study,
    /// Its possible sides; empty for a finding of the midline.
    pub sides: &'static [Side],
    /// Its possible regions; empty where the organ is not divided.
    pub regions: &'static [Region],
    /// Its possible sizes, each with the range of its extent in millimetres.
    pub sizes: &'static [(Size, [f32; 2])],
    /// Its possible densities; empty where it is an enlarged organ.
    pub densities: &'static [Density],
}

const BOTH: &[Side] = &[Side::Left, Side::Right];
const LOBES: &[Region] = &[Region::Frontal, Region::Parietal, Region::Occipital];
const ZONES: &[Region] = &[Region::Upper, Region::Middle, Region::Lower];
const SEGMENTS: &[Region] = &[Region::Anterior, Region::Posterior];
const BRIGHT: &[Density] = &[Density::Hyperdense];
const DARK: &[Density] = &[Density::Hypodense];

impl FindingKind {
    /// Every kind, in the order of [`Study::ALL`].
    pub const ALL: [Self; 16] = [
        Self::Hemorrhage,
        Self::Infarct,
        Self::BrainMass,
        Self::SubduralHematoma,
        Self::LungNodule,
        Self::LungMass,
        Self::Consolidation,
        Self::PleuralEffusion,
        Self::Pneumothorax,
        Self::Cardiomegaly,
        Self::LiverCyst,
        Self::LiverMass,
        Self::RenalStone,
        Self::RenalCyst,
        Self::SplenicInfarct,
        Self::AorticAneurysm,
    ];

    /// The kinds that occur in `study`.
    pub fn of(study: Study) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |kind| kind.profile().study == study)
    }

    /// Which truths this kind can have.
    #[must_use]
    pub fn profile(self) -> Profile {
        use Size::{Large, Small};
        use Study::{AbdomenCt, ChestXray, HeadCt};
        type Sizes = &'static [(Size, [f32; 2])];
        let (study, sides, regions, sizes, densities): (_, _, _, Sizes, _) = match self {
            Self::Hemorrhage => (HeadCt, BOTH, LOBES, &[(Small, [20.0, 25.0]), (Large, [40.0, 50.0])], BRIGHT),
            Self::Infarct => (HeadCt, BOTH, LOBES, &[(Small, [26.0, 32.0]), (Large, [52.0, 64.0])], DARK),
            Self::BrainMass => (HeadCt, BOTH, LOBES, &[(Small, [24.0, 29.0]), (Large, [42.0, 50.0])], DARK),
            Self::SubduralHematoma => (
                HeadCt,
                BOTH,
                &[],
                &[(Small, [10.0, 13.0]), (Large, [20.0, 26.0])],
                &[Density::Hyperdense, Density::Hypodense],
            ),
            Self::LungNodule => (ChestXray, BOTH, ZONES, &[(Small, [24.0, 30.0])], BRIGHT),
            Self::LungMass => (ChestXray, BOTH, ZONES, &[(Large, [50.0, 66.0])], BRIGHT),
            Self::Consolidation => (ChestXray, BOTH, ZONES, &[(Small, [44.0, 54.0]), (Large, [76.0, 92.0])], BRIGHT),
            Self::PleuralEffusion => (ChestXray, BOTH, &[], &[(Small, [44.0, 56.0]), (Large, [96.0, 124.0])], BRIGHT),
            Self::Pneumothorax => (ChestXray, BOTH, &[], &[(Small, [18.0, 24.0]), (Large, [38.0, 48.0])], DARK),
            Self::Cardiomegaly => (ChestXray, &[], &[], &[(Small, [146.0, 156.0]), (Large, [176.0, 192.0])], &[]),
            Self::LiverCyst => {
                (AbdomenCt, &[Side::Right], SEGMENTS, &[(Small, [26.0, 32.0]), (Large, [50.0, 62.0])], DARK)
            }
            Self::LiverMass => {
                (AbdomenCt, &[Side::Right], SEGMENTS, &[(Small, [26.0, 32.0]), (Large, [50.0, 62.0])], BRIGHT)
            }
            Self::RenalStone => (AbdomenCt, BOTH, &[], &[(Small, [16.0, 20.0]), (Large, [30.0, 36.0])], BRIGHT),
            Self::RenalCyst => (AbdomenCt, BOTH, &[], &[(Small, [24.0, 29.0]), (Large, [42.0, 52.0])], DARK),
            Self::SplenicInfarct => {
                (AbdomenCt, &[Side::Left], &[], &[(Small, [28.0, 34.0]), (Large, [54.0, 66.0])], DARK)
            }
            Self::AorticAneurysm => (AbdomenCt, &[], &[], &[(Small, [36.0, 42.0]), (Large, [58.0, 70.0])], &[]),
        };
        Profile { study, sides, regions, sizes, densities }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once() {
        for (i, kind) in FindingKind::ALL.into_iter().enumerate() {
            // A match without a wildcard: a new kind does not compile until it is added here and to ALL.
            let place = match kind {
                FindingKind::Hemorrhage => 0,
                FindingKind::Infarct => 1,
                FindingKind::BrainMass => 2,
                FindingKind::SubduralHematoma => 3,
                FindingKind::LungNodule => 4,
                FindingKind::LungMass => 5,
                FindingKind::Consolidation => 6,
                FindingKind::PleuralEffusion => 7,
                FindingKind::Pneumothorax => 8,
                FindingKind::Cardiomegaly => 9,
                FindingKind::LiverCyst => 10,
                FindingKind::LiverMass => 11,
                FindingKind::RenalStone => 12,
                FindingKind::RenalCyst => 13,
                FindingKind::SplenicInfarct => 14,
                FindingKind::AorticAneurysm => 15,
            };
            assert_eq!(i, place);
        }
    }

    #[test]
    fn small_and_large_do_not_overlap() {
        for kind in FindingKind::ALL {
            if let [(Size::Small, [_, small]), (Size::Large, [large, _])] = kind.profile().sizes {
                assert!(*large > 1.1 * small, "{kind:?}");
            } else {
                assert_eq!(kind.profile().sizes.len(), 1, "{kind:?}");
            }
        }
    }
}
