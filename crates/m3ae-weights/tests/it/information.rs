//! What `info` says of each kind of file.

use burn::prelude::*;
use m3ae_weights::{Format, Head, Kind, Needs, info};

use crate::config;
use crate::craft::{self, state};

#[test]
fn an_m3ae_model_is_described_by_parts_and_heads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.ckpt");
    let model = config().init(&Device::default()).unwrap();
    let mut weights = state(&model);
    weights.insert("language_encoder.pooler.dense.bias".into(), (vec![16], vec![0.0; 16]));
    craft::write_lightning(&path, &craft::pieces(&weights), vec![]);
    let info = info(&path).unwrap();
    assert_eq!((info.kind, info.format), (Kind::M3ae, Format::Lightning));
    assert_eq!(info.heads, [Head::Mlm, Head::Mim, Head::Itm, Head::Vqa, Head::Irtr]);
    assert_eq!(info.parameters(), model.num_params() + 16);
    assert_eq!(info.parts["not used"], 16);
    assert_eq!(info.parts["irtr_head"], 49);
    assert_eq!(info.parts["vision_encoder"], model.vision_encoder.num_params());
    assert!(matches!(&info.needs, Needs::Unknown(reason) if reason.contains("hyper_parameters")), "{:?}", info.needs);
    let shown = info.to_string();
    for line in ["M3AE model, PyTorch-Lightning checkpoint", "heads     mlm, mim, itm, vqa, irtr", "irtr_head"] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(
        shown.lines().any(|line| line.starts_with("irtr_head.weight") && line.ends_with("F32    [1, 48]")),
        "{shown}"
    );
}

#[test]
fn text_encoders_and_strangers_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let text = state(&config().init(&Device::default()).unwrap().language_encoder);
    craft::write_state(&path, &text);
    assert_eq!(info(&path).unwrap().kind, Kind::Roberta);
    let bert = text.iter().map(|(name, value)| (format!("bert.{name}"), value.clone())).collect();
    craft::write_state(&path, &bert);
    let described = info(&path).unwrap();
    assert_eq!(described.kind, Kind::Bert);
    assert!(described.to_string().contains("settings are missing"), "{described}");
    craft::write_state(&path, &[("fc.weight".to_owned(), (vec![1], vec![0.0]))].into());
    assert_eq!(info(&path).unwrap().kind, Kind::Unknown);
}
