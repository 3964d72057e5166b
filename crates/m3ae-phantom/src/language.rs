//! The words for a truth, shared by captions and questions.

use crate::{
    finding::{Density, FindingKind, Region, Side, Size, Study},
    truth::Finding,
};

/// What an image of `study` is called in running text: always modality, view and organ, each phrasing in full.
pub(crate) fn views(study: Study) -> &'static [&'static str] {
    match study {
        Study::HeadCt => &[
            "axial CT of the head",
            "axial head CT",
            "axial CT image of the brain",
            "axial computed tomography (CT) scan of the head",
            "CT of the brain in the axial plane",
        ],
        Study::ChestXray => &[
            "PA chest X-ray",
            "PA X-ray of the chest",
            "frontal (PA) chest radiograph",
            "posteroanterior (PA) chest X-ray",
            "chest radiograph in PA view",
        ],
        Study::AbdomenCt => &[
            "axial CT of the abdomen",
            "axial abdominal CT",
            "axial contrast-enhanced CT of the abdomen",
            "axial computed tomography (CT) scan of the abdomen",
            "CT of the upper abdomen in the axial plane",
        ],
    }
}

/// The names of a kind in running text; the first is the one questions use.
pub(crate) fn names(kind: FindingKind) -> &'static [&'static str] {
    match kind {
        FindingKind::Hemorrhage => &["hemorrhage", "intraparenchymal hemorrhage"],
        FindingKind::Infarct => &["infarct", "wedge-shaped infarct"],
        FindingKind::BrainMass => &["ring-enhancing mass", "mass with ring enhancement"],
        FindingKind::SubduralHematoma => &["subdural hematoma", "crescentic subdural hematoma"],
        FindingKind::LungNodule => &["pulmonary nodule", "round nodule"],
        FindingKind::LungMass => &["pulmonary mass", "round lung mass"],
        FindingKind::Consolidation => &["consolidation", "airspace consolidation"],
        FindingKind::PleuralEffusion => &["pleural effusion", "pleural effusion with a meniscus"],
        FindingKind::Pneumothorax => &["pneumothorax", "pneumothorax with a visible pleural line"],
        FindingKind::Cardiomegaly => &["cardiomegaly", "enlargement of the heart"],
        FindingKind::LiverCyst => &["liver cyst", "hepatic cyst"],
        FindingKind::LiverMass => &["liver mass", "enhancing liver mass"],
        FindingKind::RenalStone => &["renal stone", "renal calculus"],
        FindingKind::RenalCyst => &["renal cyst", "simple renal cyst"],
        FindingKind::SplenicInfarct => &["splenic infarct", "wedge-shaped splenic infarct"],
        FindingKind::AorticAneurysm => &["aortic aneurysm", "aneurysm of the aorta"],
    }
}

/// The name of a kind in questions and answers.
pub(crate) fn name(kind: FindingKind) -> &'static str {
    names(kind)[0]
}

/// Where a finding is, without article: `right frontal lobe`.
pub(crate) fn location(finding: &Finding) -> String {
    let side = finding.side.map_or("", side);
    let region = finding.region.map_or("", region);
    match finding.kind {
        FindingKind::Hemorrhage | FindingKind::Infarct | FindingKind::BrainMass => format!("{side} {region} lobe"),
        FindingKind::SubduralHematoma => format!("{side} cerebral convexity"),
        FindingKind::LungNodule | FindingKind::LungMass | FindingKind::Consolidation => {
            format!("{side} {region} lung zone")
        }
        FindingKind::PleuralEffusion | FindingKind::Pneumothorax => format!("{side} pleural space"),
        FindingKind::Cardiomegaly => "heart".to_owned(),
        FindingKind::LiverCyst | FindingKind::LiverMass => format!("{region} {side} lobe of the liver"),
        FindingKind::RenalStone | FindingKind::RenalCyst => format!("{side} kidney"),
        FindingKind::SplenicInfarct => "spleen".to_owned(),
        FindingKind::AorticAneurysm => "abdominal aorta".to_owned(),
    }
}

/// Where a finding is, as it follows the finding's name: ` in the right frontal lobe`; empty where the name says it.
pub(crate) fn place(finding: &Finding) -> String {
    let location = location(finding);
    match finding.kind {
        FindingKind::Cardiomegaly => String::new(),
        FindingKind::SubduralHematoma => format!(" along the {location}"),
        FindingKind::AorticAneurysm => " in the abdomen".to_owned(),
        // The name says the organ, but the side is part of the truth.
        FindingKind::SplenicInfarct => format!(" on the {}", finding.side.map_or("left", side)),
        _ => format!(" in the {location}"),
    }
}

/// `left` or `right`, of the patient.
pub(crate) fn side(side: Side) -> &'static str {
    match side {
        Side::Left => "left",
        Side::Right => "right",
    }
}

/// The adjective of a region.
pub(crate) fn region(region: Region) -> &'static str {
    match region {
        Region::Frontal => "frontal",
        Region::Parietal => "parietal",
        Region::Occipital => "occipital",
        Region::Upper => "upper",
        Region::Middle => "middle",
        Region::Lower => "lower",
        Region::Anterior => "anterior",
        Region::Posterior => "posterior",
    }
}

/// The adjective of a size; an enlarged heart is mild or marked instead.
pub(crate) fn size(kind: FindingKind, size: Size) -> &'static str {
    match (kind, size) {
        (FindingKind::Cardiomegaly, Size::Small) => "mild",
        (FindingKind::Cardiomegaly, Size::Large) => "marked",
        (_, Size::Small) => "small",
        (_, Size::Large) => "large",
    }
}

/// The adjective of a density: X-rays are described by opacity.
pub(crate) fn density(study: Study, density: Density) -> &'static str {
    match (study, density) {
        (Study::ChestXray, Density::Hyperdense) => "radiopaque",
        (Study::ChestXray, Density::Hypodense) => "radiolucent",
        (_, Density::Hyperdense) => "hyperdense",
        (_, Density::Hypodense) => "hypodense",
    }
}

/// `a` or `an` before a name; `""` before one that is not counted. Ends with a space where it is not empty.
pub(crate) fn article(kind: FindingKind, next: &str) -> &'static str {
    match kind {
        FindingKind::Cardiomegaly | FindingKind::Consolidation => "",
        _ if next.starts_with(['a', 'e', 'i', 'o', 'u']) => "an ",
        _ => "a ",
    }
}

/// `text` with its first letter in upper case.
pub(crate) fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_follow_the_next_word() {
        assert_eq!(article(FindingKind::Infarct, "infarct"), "an ");
        assert_eq!(article(FindingKind::Infarct, "small infarct"), "a ");
        assert_eq!(article(FindingKind::Cardiomegaly, "mild cardiomegaly"), "");
    }

    #[test]
    fn capitals_change_the_first_letter_alone() {
        assert_eq!(capitalised("axial CT"), "Axial CT");
        assert_eq!(capitalised("PA chest"), "PA chest");
        assert_eq!(capitalised(""), "");
    }
}
