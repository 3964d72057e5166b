//! Questions with answers, in VQA-RAD's terms.
//!
//! Closed questions are balanced: over many images, each text is answered "Yes" about as often as "No", so that a model
//! that does not look at the image stays at one half.

use m3ae_random::Generator;
use serde::{Deserialize, Serialize};

use crate::{
    finding::{Density, FindingKind, Region, Side, Size, Study},
    language::{article, capitalised, density, location, name, region, side, size},
    truth::{Finding, NORMAL_SHARE, Truth, pick},
};

/// Whether a question asks for yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AnswerType {
    /// Yes or no.
    Closed,
    /// Anything else.
    Open,
}

/// A question on one image, with the words VQA-RAD uses for its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The question.
    pub question: String,
    /// Its answer, with a capital first letter.
    pub answer: String,
    /// Whether it is a yes/no question.
    pub answer_type: AnswerType,
    /// VQA-RAD's category: `PRES`, `ABN`, `POS`, `SIZE`, `ATTRIB`, `MODALITY`, `PLANE` or `ORGAN`.
    pub question_type: String,
    /// `freeform` for the first phrasing of a question, `para` for the others.
    pub phrase_type: String,
}

/// The questions on `truth`, six for every image; over many images, somewhat under half of them are closed.
#[must_use]
pub fn questions(truth: &Truth) -> Vec<Question> {
    let mut ask = Ask { truth, generator: truth.generator("questions") };
    let Some(finding) = &truth.finding else {
        let mut general = ask.possible_general();
        ask.generator.shuffle(&mut general);
        let mut questions = vec![ask.presence(), ask.normality(), ask.abnormality()];
        questions.extend(general.into_iter().take(3).map(|it| ask.general(it)));
        return questions;
    };
    let mut questions = vec![ask.presence(), ask.abnormality(), ask.whereabouts(finding)];
    questions.extend(ask.closed_detail(finding));
    questions.extend(ask.open_detail(finding));
    // As many abnormal images are asked whether they are normal as there are normal ones, which all are.
    if ask.generator.chance(NORMAL_SHARE / (1.0 - NORMAL_SHARE)) {
        questions.push(ask.normality());
    } else {
        let general = ask.possible_general();
        let general = pick(&mut ask.generator, &general);
        questions.push(ask.general(general));
    }
    questions
}

/// Questions that do not depend on the finding.
#[derive(Clone, Copy)]
enum General {
    Modality,
    Organ,
    Plane,
    IsModality,
    IsOrgan,
}

struct Ask<'a> {
    truth: &'a Truth,
    generator: Generator,
}

impl Ask<'_> {
    fn open(&mut self, question_type: &str, answer: &str, phrasings: &[String]) -> Question {
        let choice = self.generator.below(phrasings.len());
        Question {
            question: phrasings[choice].clone(),
            answer: capitalised(answer),
            answer_type: AnswerType::Open,
            question_type: question_type.to_owned(),
            phrase_type: if choice == 0 { "freeform" } else { "para" }.to_owned(),
        }
    }

    fn closed(&mut self, question_type: &str, yes: bool, phrasings: &[String]) -> Question {
        let answer = if yes { "yes" } else { "no" };
        Question { answer_type: AnswerType::Closed, ..self.open(question_type, answer, phrasings) }
    }

    fn presence(&mut self) -> Question {
        // A kind is asked for where it is (yes) and where it is not (no: on other findings and on every normal image).
        // With this chance of asking for the present one, both happen equally often.
        let truly = 0.5 / (1.0 - NORMAL_SHARE);
        let present = self.truth.finding.as_ref().map(|finding| finding.kind);
        let kind = match present {
            Some(kind) if self.generator.chance(truly) => kind,
            _ => {
                let others: Vec<FindingKind> =
                    FindingKind::of(self.truth.study).filter(|kind| Some(*kind) != present).collect();
                pick(&mut self.generator, &others)
            }
        };
        let name = name(kind);
        let named = format!("{}{name}", article(kind, name));
        self.closed(
            "PRES",
            present == Some(kind),
            &[
                format!("Is there {named}?"),
                format!("Is {named} present?"),
                format!("Does this image show {named}?"),
                format!("Is there evidence of {named}?"),
            ],
        )
    }

    fn normality(&mut self) -> Question {
        let normal = self.truth.finding.is_none();
        if self.generator.chance(0.5) {
            self.closed("ABN", normal, &["Is this image normal?".into(), "Is this a normal study?".into()])
        } else {
            self.closed(
                "ABN",
                !normal,
                &["Is there an abnormality in this image?".into(), "Does this image show any abnormality?".into()],
            )
        }
    }

    fn abnormality(&mut self) -> Question {
        let answer = self.truth.finding.as_ref().map_or("none", |finding| name(finding.kind));
        self.open(
            "ABN",
            answer,
            &[
                "What abnormality is seen in this image?".into(),
                "What is the abnormality?".into(),
                "Which finding is shown?".into(),
            ],
        )
    }

    fn whereabouts(&mut self, finding: &Finding) -> Question {
        let name = name(finding.kind);
        self.open(
            "POS",
            &location(finding),
            &[
                "Where is the abnormality?".into(),
                "Where is the abnormality located?".into(),
                format!("Where is the {name}?"),
            ],
        )
    }

    /// One of the closed questions that this finding allows and that its name does not answer.
    fn closed_detail(&mut self, finding: &Finding) -> Option<Question> {
        let kind = finding.kind;
        let (profile, name) = (kind.profile(), name(kind));
        let mut possible: Vec<Question> = Vec::new();
        if let (Some(true_side), true) = (finding.side, profile.sides.len() > 1) {
            let asked = pick(&mut self.generator, &[Side::Left, Side::Right]);
            let word = side(asked);
            possible.push(self.closed(
                "POS",
                asked == true_side,
                &[
                    format!("Is the {name} on the {word} side?"),
                    format!("Is the abnormality on the {word}?"),
                    format!("Is the {word} side affected?"),
                ],
            ));
        }
        if let Some(true_region) = finding.region {
            let asked = if self.generator.chance(0.5) {
                true_region
            } else {
                let others: Vec<Region> = profile.regions.iter().copied().filter(|it| *it != true_region).collect();
                pick(&mut self.generator, &others)
            };
            let part = match profile.study {
                Study::HeadCt => "lobe",
                Study::ChestXray => "lung zone",
                Study::AbdomenCt => "part of the liver",
            };
            let word = region(asked);
            possible.push(self.closed(
                "POS",
                asked == true_region,
                &[
                    format!("Is the abnormality in the {word} {part}?"),
                    format!("Is the {name} located in the {word} {part}?"),
                ],
            ));
        }
        if profile.sizes.len() > 1 {
            let asked = pick(&mut self.generator, &[Size::Small, Size::Large]);
            let word = size(kind, asked);
            possible.push(self.closed(
                "SIZE",
                asked == finding.size,
                &[format!("Is the {name} {word}?"), format!("Would you call the {name} {word}?")],
            ));
        }
        if let (Some(true_density), true) = (finding.density, profile.densities.len() > 1) {
            let asked = pick(&mut self.generator, &[Density::Hyperdense, Density::Hypodense]);
            let word = density(profile.study, asked);
            possible.push(self.closed(
                "ATTRIB",
                asked == true_density,
                &[format!("Is the {name} {word}?"), format!("Does the {name} appear {word}?")],
            ));
        }
        self.generator.choose(&possible).cloned()
    }

    /// One of the open questions on details that this finding allows.
    fn open_detail(&mut self, finding: &Finding) -> Option<Question> {
        let kind = finding.kind;
        let name = name(kind);
        let mut possible: Vec<Question> = Vec::new();
        if let Some(true_side) = finding.side {
            possible.push(self.open(
                "POS",
                side(true_side),
                &[
                    "Which side is affected?".into(),
                    "On which side of the patient is the abnormality?".into(),
                    format!("Which side is the {name} on?"),
                ],
            ));
        }
        if kind.profile().sizes.len() > 1 {
            possible.push(self.open(
                "SIZE",
                size(kind, finding.size),
                &["How large is the abnormality?".into(), format!("What is the size of the {name}?")],
            ));
        }
        if let Some(true_density) = finding.density {
            possible.push(self.open(
                "ATTRIB",
                density(self.truth.study, true_density),
                &["What is the density of the abnormality?".into(), "How dense is the abnormality?".into()],
            ));
        }
        self.generator.choose(&possible).cloned()
    }

    fn possible_general(&mut self) -> Vec<General> {
        let mut possible = vec![General::Modality, General::Organ, General::Plane, General::IsOrgan];
        // Two studies of three are CT: asking every other one leaves CT and X-ray equal.
        if self.truth.study == Study::ChestXray || self.generator.chance(0.5) {
            possible.push(General::IsModality);
        }
        possible
    }

    fn general(&mut self, general: General) -> Question {
        let study = self.truth.study;
        let (modality, plane) = match study {
            Study::HeadCt | Study::AbdomenCt => ("CT", "Axial"),
            Study::ChestXray => ("X-ray", "PA"),
        };
        match general {
            General::IsModality => {
                let (asked, phrase) = pick(&mut self.generator, &[("CT", "a CT scan"), ("X-ray", "an X-ray")]);
                self.closed(
                    "MODALITY",
                    asked == modality,
                    &[format!("Is this {phrase}?"), format!("Was this image taken with {phrase}?")],
                )
            }
            General::Modality => self.open(
                "MODALITY",
                modality,
                &[
                    "What imaging modality is this?".into(),
                    "What type of imaging is this?".into(),
                    "How was this image taken?".into(),
                ],
            ),
            General::IsOrgan => {
                // Asked for the right one half of the time, otherwise for one of the two others.
                let asked = if self.generator.chance(0.5) {
                    study
                } else {
                    let others: Vec<Study> = Study::ALL.into_iter().filter(|it| *it != study).collect();
                    pick(&mut self.generator, &others)
                };
                let word = body_part(asked);
                self.closed(
                    "ORGAN",
                    asked == study,
                    &[format!("Is this an image of the {word}?"), format!("Does this image show the {word}?")],
                )
            }
            General::Organ => self.open(
                "ORGAN",
                body_part(study),
                &["What part of the body is shown?".into(), "Which body part is being imaged?".into()],
            ),
            General::Plane => self.open(
                "PLANE",
                plane,
                &["In what plane is this image taken?".into(), "What is the plane or view of this image?".into()],
            ),
        }
    }
}

fn body_part(study: Study) -> &'static str {
    match study {
        Study::HeadCt => "head",
        Study::ChestXray => "chest",
        Study::AbdomenCt => "abdomen",
    }
}

#[cfg(test)]
mod tests;
