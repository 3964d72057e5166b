use m3ae_random::{Generator, Key, Stream};

use super::*;
use crate::{
    finding::{Side, Size},
    truth::Anatomy,
};

fn generator(sample: &str) -> Generator {
    Key { seed: 11, epoch: 0, sample, stream: Stream::Phantom }.generator()
}

/// Twenty truths of each kind.
fn truths() -> impl Iterator<Item = Truth> {
    FindingKind::ALL.into_iter().flat_map(|kind| {
        (0..20).map(move |i| {
            let id = format!("{kind:?}-{i}");
            let mut generator = generator(&id);
            let finding = Some(Finding::draw_of_kind(kind, &mut generator));
            let anatomy = Anatomy::draw(&mut generator);
            Truth { id, seed: 3, study: kind.profile().study, finding, anatomy }
        })
    })
}

fn changed(truth: &Truth, side: u32) -> Vec<[f32; 2]> {
    let mask = finding_mask(truth, side).unwrap();
    mask.enumerate_pixels().filter(|(_, _, p)| p.0[0] == 255).map(|(x, y, _)| [x as f32, y as f32]).collect()
}

#[test]
fn every_finding_changes_the_image_visibly_at_64_pixels() {
    for truth in truths() {
        let pixels = changed(&truth, 64).len();
        assert!(pixels >= 8, "{pixels} pixels: {truth:?}");
    }
}

#[test]
fn a_normal_image_has_an_empty_mask() {
    let truth = Truth { finding: None, ..Truth::draw(1, "a") };
    assert!(changed(&truth, 64).is_empty());
}

#[test]
fn left_is_drawn_at_the_image_right() {
    for truth in truths() {
        let Some(side) = truth.finding.as_ref().and_then(|finding| finding.side) else { continue };
        let pixels = changed(&truth, 64);
        let mean = pixels.iter().map(|p| p[0]).sum::<f32>() / pixels.len() as f32;
        match side {
            Side::Left => assert!(mean > 34.5, "{mean}: {truth:?}"),
            Side::Right => assert!(mean < 28.5, "{mean}: {truth:?}"),
        }
    }
}

#[test]
fn regions_are_drawn_from_front_to_back_and_from_top_to_bottom() {
    for truth in truths() {
        let Some(region) = truth.finding.as_ref().and_then(|finding| finding.region) else { continue };
        let pixels = changed(&truth, 64);
        let mean = pixels.iter().map(|p| p[1]).sum::<f32>() / pixels.len() as f32;
        let range = match region {
            Region::Frontal | Region::Upper => 0.0..26.0,
            Region::Parietal | Region::Middle => 25.0..39.0,
            Region::Occipital | Region::Lower => 37.0..64.0,
            Region::Anterior => 0.0..29.5,
            Region::Posterior => 29.5..64.0,
        };
        assert!(range.contains(&mean), "{mean}: {truth:?}");
    }
}

#[test]
fn large_covers_more_of_the_image_than_small() {
    for kind in FindingKind::ALL {
        let mean = |size| {
            let areas: Vec<usize> = truths()
                .filter(|t| t.finding.as_ref().is_some_and(|f| f.kind == kind && f.size == size))
                .map(|t| changed(&t, 64).len())
                .collect();
            areas.iter().sum::<usize>() as f32 / areas.len().max(1) as f32
        };
        let (small, large) = (mean(Size::Small), mean(Size::Large));
        assert!(small == 0.0 || large == 0.0 || large > 1.5 * small, "{kind:?}: {small} {large}");
    }
}

#[test]
fn a_finding_is_as_dense_as_it_says() {
    for truth in truths() {
        let Some(finding) = &truth.finding else { continue };
        let Some(density) = finding.density else { continue };
        let with = draw(&truth, Some(finding), 64).develop(&truth.anatomy, None);
        let without = draw(&truth, None, 64).develop(&truth.anatomy, None);
        let change: f32 = with.pixels().zip(without.pixels()).map(|(a, b)| f32::from(a.0[0]) - f32::from(b.0[0])).sum();
        match density {
            crate::finding::Density::Hyperdense => assert!(change > 0.0, "{change}: {truth:?}"),
            crate::finding::Density::Hypodense => assert!(change < 0.0, "{change}: {truth:?}"),
        }
    }
}

#[test]
fn the_three_studies_are_told_apart_by_their_pixels() {
    // The mean absolute difference between images of different studies exceeds that within a study.
    let images: Vec<(Study, GrayImage)> = (0..60)
        .map(|i| Truth::draw(2, &format!("{i}")))
        .map(|truth| (truth.study, render(&truth, 32).unwrap()))
        .collect();
    let (mut within, mut between) = ((0.0, 0), (0.0, 0));
    for (i, (study, a)) in images.iter().enumerate() {
        for (other, b) in &images[..i] {
            let difference: u64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let sum = if study == other { &mut within } else { &mut between };
            *sum = (sum.0 + difference as f64, sum.1 + 1);
        }
    }
    let (within, between) = (within.0 / f64::from(within.1), between.0 / f64::from(between.1));
    assert!(between > 1.5 * within, "{between} {within}");
}

#[test]
fn refuses_a_side_it_cannot_draw() {
    let truth = Truth::draw(1, "a");
    assert!(matches!(render(&truth, 8), Err(PhantomError::Config { field: "side", .. })));
    assert!(matches!(finding_mask(&truth, 5000), Err(PhantomError::Config { field: "side", .. })));
}

#[test]
fn noise_changes_the_image_but_not_the_truth() {
    let truth = Truth::draw(1, "a");
    let again = Truth { id: "b".to_owned(), ..truth.clone() };
    assert_ne!(render(&truth, 64).unwrap(), render(&again, 64).unwrap());
    assert_eq!(render(&truth, 64).unwrap(), render(&truth, 64).unwrap());
}
