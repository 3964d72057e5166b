//! Every output of the reference's forward passes, computed by ours.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use burn::prelude::*;
use m3ae_masking::PatchMaskBatch;
use m3ae_model::{
    FusionInput, FusionRequest, FusionText, M3ae, Texts, VisiblePatches, mim_target, padding_bias, patchify,
};
use m3ae_train::{MaskedTokens, Matching, PretrainBatch, cross_entropy, pretrain_step, three_passes, vqa_loss};

use super::fixture::Fixture;
use super::table::{Table, Tolerance};

/// Differences of summation order are about 1e-6 relative per layer in float32; a whole model within this is right.
const CLOSE: Tolerance = Tolerance::Relative(1e-4);

/// The fixture's one batch.
pub struct Inputs {
    image: Tensor<4>,
    ids: Tensor<2, Int>,
    mask: Tensor<2, Int>,
    /// As the pre-training step takes it.
    pub batch: PretrainBatch,
    masked: MaskedTokens,
    visible: VisiblePatches,
    pairs: Matching,
    matched: Vec<bool>,
    mlm_labels: Tensor<2, Int>,
}

impl Inputs {
    /// Reads the inputs and draws the masks from the fixture's noise.
    pub fn read(fixture: &mut Fixture, device: &Device) -> Result<Self> {
        let image = fixture.float::<4>("image", device)?;
        let ids = fixture.int::<2>("text_ids", device)?;
        let mask = fixture.int::<2>("text_masks", device)?;
        let noise: Vec<f32> = fixture.float::<2>("mim_noise", device)?.try_into_vec_as()?;
        let patches = PatchMaskBatch::from_noise(&noise, fixture.config.vision.patches(), fixture.mask_ratio)?;
        let visible = VisiblePatches::new(&patches, device);

        let mlm_labels = fixture.int::<2>("text_labels_mlm", device)?;
        let labels: Vec<i64> = mlm_labels.clone().try_into_vec_as()?;
        let (positions, targets): (Vec<i64>, Vec<i64>) =
            labels.into_iter().enumerate().filter(|&(_, label)| label >= 0).map(|(i, label)| (i as i64, label)).unzip();

        // The reference permutes [1, 1, .., 0, 0, ..] and replaces the images where 0 lands.
        let [size, ..] = image.dims();
        let permutation = &fixture.expected.itm_perm;
        if permutation.len() != size || permutation.iter().any(|&from| from >= size) {
            bail!("expected.json: itm_perm {permutation:?} is no permutation of the batch's {size} pairs");
        }
        let matched: Vec<bool> = permutation.iter().map(|&from| from < size / 2).collect();
        let false_image = fixture.float::<4>("false_image", device)?;
        // Every row of `false_image` belongs to the caption of the same row.
        let rows: Vec<i64> =
            matched.iter().enumerate().map(|(i, &m)| if m { i as i64 } else { (size + i) as i64 }).collect();
        let labels: Vec<i64> = matched.iter().map(|&m| i64::from(m)).collect();
        let masked = MaskedTokens {
            ids: fixture.int::<2>("text_ids_mlm", device)?,
            positions: Tensor::from_data(positions.as_slice(), device),
            targets: Tensor::from_data(targets.as_slice(), device),
        };
        let pairs = Matching {
            false_image,
            rows: Tensor::from_data(rows.as_slice(), device),
            labels: Tensor::from_data(labels.as_slice(), device),
        };
        let batch = PretrainBatch {
            image: image.clone(),
            text_ids: ids.clone(),
            text_mask: mask.clone(),
            mlm: Some(masked.clone()),
            mim: Some(visible.clone()),
            itm: Some(pairs.clone()),
        };
        Ok(Self { image, ids, mask, batch, masked, visible, pairs, matched, mlm_labels })
    }
}

/// Compares every output tensor and loss.
pub fn compare(model: &M3ae, fixture: &mut Fixture, inputs: &Inputs, table: &mut Table) -> Result<()> {
    let Inputs { image, ids, mask, visible, .. } = inputs;

    // Encoders.
    let text = model.language_encoder.forward(ids.clone(), mask.clone(), model.precision());
    table.compare(fixture, "text_embeddings", text.embeddings.clone(), CLOSE)?;
    for (layer, state) in text.layers.iter().enumerate() {
        table.compare(fixture, &format!("text_layer_{layer}"), state.clone(), CLOSE)?;
    }
    let whole = model.vision_encoder.forward(image.clone(), model.precision());
    table.compare(fixture, "patch_embed", whole.patch_embed, CLOSE)?;
    table.compare(fixture, "vision_features", whole.features.clone(), CLOSE)?;

    // Patch masking.
    table.compare(fixture, "mim_ids_restore", visible.ids_restore.clone(), Tolerance::Exact)?;
    table.compare(fixture, "mim_mask", visible.mask.clone(), Tolerance::Exact)?;
    if model.vision_encoder.clip().is_some() {
        let masked =
            model.vision_encoder.forward_visible(image.clone(), visible.ids_keep.clone(), model.precision())?;
        table.compare(fixture, "mim_visible_tokens", masked.visible_tokens, CLOSE)?;
        table.compare(fixture, "vision_features_masked", masked.features, CLOSE)?;
    }

    // Fusion.
    let text = FusionText { tokens: model.project_text(text.last()), bias: padding_bias(mask.clone()) };
    let input = FusionInput { text, image: model.project_image(whole.features) };
    let fused = model.fuse(input, FusionRequest::new().text(..).image(..).pooled(..).attention());
    for (layer, maps) in fused.attention.iter().enumerate() {
        table.compare(fixture, &format!("attn_text_self_{layer}"), maps.text_self.clone(), CLOSE)?;
        table.compare(fixture, &format!("attn_image_self_{layer}"), maps.image_self.clone(), CLOSE)?;
        let cross = [("text_to_image", &maps.text_to_image), ("image_to_text", &maps.image_to_text)];
        for (name, map) in cross {
            let map = map.clone().context("a fusion layer without cross-attention")?;
            table.compare(fixture, &format!("attn_{name}_{layer}"), map, CLOSE)?;
        }
    }
    table.compare(fixture, "infer_multi_modal_text_feats", fused.text, CLOSE)?;
    table.compare(fixture, "infer_multi_modal_image_feats", fused.image, CLOSE)?;
    table.compare(fixture, "infer_multi_modal_cls_feats", fused.pooled.clone(), CLOSE)?;
    table.compare(fixture, "infer_patched_images", patchify(image.clone(), model.patch_size()), CLOSE)?;

    pretraining(model, fixture, inputs, table)?;
    fine_tuning(model, fixture, inputs, fused.pooled, table)
}

fn loss(table: &mut Table, fixture: &Fixture, task: &str, note: &str, value: Tensor<1>) -> Result<()> {
    let value = f64::from(value.try_into_scalar::<f32>()?);
    table.compare_value(format!("loss {task}{note}"), value, fixture.expected.losses.get(task).copied(), CLOSE);
    Ok(())
}

fn pretraining(model: &M3ae, fixture: &mut Fixture, inputs: &Inputs, table: &mut Table) -> Result<()> {
    let Inputs { image, ids, mask, batch, masked, pairs, matched, mlm_labels, .. } = inputs;
    if let Some(head) = &model.mlm_head {
        let tokens = model.forward(Texts { ids: masked.ids.clone(), mask: mask.clone() }, image.clone()).text;
        let [size, length, width] = tokens.dims();
        let logits = head.forward(tokens.reshape([size * length, width]), model.precision());
        let vocabulary = logits.dims()[1];
        table.compare(fixture, "mlm_logits", logits.reshape([size, length, vocabulary]), CLOSE)?;
        table.compare(fixture, "mlm_labels", mlm_labels.clone(), Tolerance::Exact)?;
    }
    if let Some(head) = &model.itm_head {
        let images = Tensor::cat(vec![image.clone(), pairs.false_image.clone()], 0);
        let mixed = images.select(0, pairs.rows.clone());
        table.compare(
            fixture,
            "itm_logits",
            head.forward(
                model.forward(Texts { ids: ids.clone(), mask: mask.clone() }, mixed).pooled,
                model.precision(),
            ),
            CLOSE,
        )?;
        let labels: Vec<f32> = matched.iter().map(|&m| f32::from(u8::from(m))).collect();
        let labels = Tensor::<1>::from_data(labels.as_slice(), &image.device());
        table.compare(fixture, "itm_labels", labels, Tolerance::Exact)?;
    }
    if model.mim_head.is_some() {
        let target = mim_target(image.clone(), model.patch_size(), model.norm_pix_loss());
        table.compare(fixture, "mim_labels", target, CLOSE)?;
    }
    if let (Some(_), Some(_), Some(_)) = (&model.mlm_head, &model.mim_head, &model.itm_head) {
        let shared = pretrain_step(model, batch)?;
        let mim = shared.mim.as_ref().context("a step without masked image modelling")?;
        table.compare(fixture, "mim_logits", mim.patches.clone(), CLOSE)?;
        for (note, output) in [("", three_passes(model, batch)?), (" (shared encodings)", shared)] {
            for (task, value) in output.losses() {
                loss(table, fixture, task, note, value)?;
            }
        }
    }
    Ok(())
}

/// Compares the logits of the fine-tuning heads, then their losses.
fn fine_tuning(model: &M3ae, fixture: &mut Fixture, inputs: &Inputs, cls: Tensor<2>, table: &mut Table) -> Result<()> {
    if let Some(head) = &model.vqa_head {
        table.compare(fixture, "vqa_logits", head.forward(cls.clone(), model.precision()), CLOSE)?;
    }
    if let Some(head) = &model.cls_head {
        table.compare(fixture, "cls_logits", head.forward(cls, model.precision()), CLOSE)?;
    }
    for (task, value) in fine_tuning_losses(model, fixture, inputs)? {
        loss(table, fixture, task, "", value)?;
    }
    Ok(())
}

/// The loss of each fine-tuning head that the model has.
pub fn fine_tuning_losses(
    model: &M3ae,
    fixture: &mut Fixture,
    inputs: &Inputs,
) -> Result<BTreeMap<&'static str, Tensor<1>>> {
    let Inputs { image, ids, mask, .. } = inputs;
    let device = &image.device();
    let cls =
        |image: Tensor<4>, ids: Tensor<2, Int>, mask: Tensor<2, Int>| model.forward(Texts { ids, mask }, image).pooled;
    let mut losses = BTreeMap::new();
    if let Some(head) = &model.vqa_head {
        let logits = head.forward(cls(image.clone(), ids.clone(), mask.clone()), model.precision());
        let answers = logits.dims()[1];
        let targets = fixture.int::<1>("vqa_labels", device)?.one_hot::<2>(answers).float();
        losses.insert("vqa", vqa_loss(logits, targets));
    }
    if let Some(head) = &model.cls_head {
        let logits = head.forward(cls(image.clone(), ids.clone(), mask.clone()), model.precision());
        losses.insert("cls", cross_entropy(logits, fixture.int::<1>("cls_labels", device)?));
    }
    if let Some(head) = &model.irtr_head {
        // Each image with its own text first, then with its false texts.
        let false_ids = fixture.int::<3>("false_text_ids", device)?;
        let false_masks = fixture.int::<3>("false_text_masks", device)?;
        let [size, others, _] = false_ids.dims();
        let texts = |own: &Tensor<2, Int>, others: Tensor<3, Int>| {
            Tensor::cat(vec![own.clone().unsqueeze_dim::<3>(1), others], 1).flatten::<2>(0, 1) // [B·(1+F), L]
        };
        let [_, channels, height, width] = image.dims();
        let images = image.clone().unsqueeze_dim::<5>(1).expand([size, 1 + others, channels, height, width]);
        let cls = cls(images.flatten::<4>(0, 1), texts(ids, false_ids), texts(mask, false_masks));
        let scores = head.forward(cls).reshape([size, 1 + others]);
        losses.insert("irtr", cross_entropy(scores, Tensor::zeros([size], device)));
    }
    Ok(losses)
}
