//! Draws the truth of an image from a seed and the image's id.

use m3ae_random::Generator;

use crate::anatomy;
use crate::finding::{FindingKind, Side, Study};
use crate::truth::{Anatomy, Finding, NORMAL_SHARE, Truth, generator, pick};

impl Truth {
    /// The truth of image `id`: the same for the same arguments, whatever else is generated.
    #[must_use]
    pub fn draw(seed: u64, id: &str) -> Self {
        let mut generator = generator(seed, id);
        let study = pick(&mut generator, &Study::ALL);
        let finding = if generator.chance(NORMAL_SHARE) { None } else { Some(Finding::draw(study, &mut generator)) };
        let anatomy = Anatomy::draw(&mut generator);
        Self { id: id.to_owned(), seed, study, finding, anatomy }
    }
}

impl Finding {
    /// A finding of `study`: its kind uniform among those of the study, its attributes uniform among those of its kind.
    #[must_use]
    pub fn draw(study: Study, generator: &mut Generator) -> Self {
        let kinds: Vec<FindingKind> = FindingKind::of(study).collect();
        let kind = pick(generator, &kinds);
        Self::draw_of_kind(kind, generator)
    }

    /// A finding of a given kind, its attributes uniform among those of its kind.
    #[must_use]
    pub fn draw_of_kind(kind: FindingKind, generator: &mut Generator) -> Self {
        let profile = kind.profile();
        let side = pick_any(generator, profile.sides);
        let region = pick_any(generator, profile.regions);
        let (size, [low, high]) = pick(generator, profile.sizes);
        let extent = generator.range(low, high);
        let density = pick_any(generator, profile.densities);
        let site = anatomy::site(kind, region);
        let mirror = side.map_or(1.0, Side::sign);
        let centre = [
            mirror * (site.centre[0] + generator.range(-site.reach[0], site.reach[0])),
            site.centre[1] + generator.range(-site.reach[1], site.reach[1]),
        ];
        let aspect = generator.range(0.85, 1.18);
        let turn = generator.range(-0.5, 0.5);
        let lobes = [generator.range(-0.1, 0.1), generator.range(-0.1, 0.1)];
        Self { kind, side, region, size, extent, density, centre, aspect, turn, lobes }
    }
}

impl Anatomy {
    /// A patient and an exposure.
    #[must_use]
    pub fn draw(generator: &mut Generator) -> Self {
        let mut within = |reach: f32| generator.range(-reach, reach);
        Self {
            scale: 1.0 + within(0.06),
            offset: [within(6.0), within(6.0)],
            tilt: within(0.05),
            build: [within(1.0), within(1.0), within(1.0), within(1.0)],
            brightness: within(0.03),
            contrast: 1.0 + within(0.08),
            noise: 0.02 + within(0.01),
        }
    }
}

/// One of `items`, if there is one.
fn pick_any<T: Copy>(generator: &mut Generator, items: &[T]) -> Option<T> {
    generator.choose(items).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truths() -> Vec<Truth> {
        (0..3000).map(|i| Truth::draw(5, &format!("image-{i}"))).collect()
    }

    #[test]
    fn a_truth_depends_on_its_seed_and_id_alone() {
        assert_eq!(Truth::draw(1, "a"), Truth::draw(1, "a"));
        assert_ne!(Truth::draw(1, "a").anatomy, Truth::draw(2, "a").anatomy);
        assert_ne!(Truth::draw(1, "a").anatomy, Truth::draw(1, "b").anatomy);
    }

    #[test]
    fn a_fifth_is_normal_and_every_kind_occurs() {
        let truths = truths();
        let normal = truths.iter().filter(|t| t.finding.is_none()).count();
        // Expected 600, standard deviation 22.
        assert!((500..700).contains(&normal), "{normal}");
        for kind in FindingKind::ALL {
            assert!(truths.iter().any(|t| t.finding.as_ref().is_some_and(|f| f.kind == kind)), "{kind:?}");
        }
    }

    #[test]
    fn attributes_stay_within_the_profile_of_their_kind() {
        for truth in truths() {
            let Some(finding) = truth.finding else { continue };
            let profile = finding.kind.profile();
            assert_eq!(profile.study, truth.study);
            assert_eq!(finding.side.is_some(), !profile.sides.is_empty());
            assert!(finding.side.is_none_or(|side| profile.sides.contains(&side)));
            assert!(finding.region.is_none_or(|region| profile.regions.contains(&region)));
            assert!(finding.density.is_none_or(|density| profile.densities.contains(&density)));
            assert!(
                profile
                    .sizes
                    .iter()
                    .any(|(size, [low, high])| { *size == finding.size && (*low..=*high).contains(&finding.extent) })
            );
            if let Some(side) = finding.side {
                assert!(finding.centre[0] * side.sign() > 0.0, "{finding:?}");
            }
        }
    }

    #[test]
    fn a_truth_survives_json() {
        for truth in truths().into_iter().take(200) {
            let text = serde_json::to_string(&truth).unwrap();
            assert_eq!(serde_json::from_str::<Truth>(&text).unwrap(), truth);
        }
    }
}
