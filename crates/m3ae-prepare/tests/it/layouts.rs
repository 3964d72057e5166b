//! The published sets' layouts.

use std::fs;

use m3ae_data::arrow::{ArrowFile, RowData};
use m3ae_phantom::PhantomConfig;
use m3ae_prepare::{Language, Plan, PrepareOptions, SetName, plan};

use crate::{images, options, png, run, write};

#[test]
fn melinda_is_read_from_quoted_csv_with_sorted_labels() {
    let raw = tempfile::tempdir().unwrap();
    let head = "figure_file,caption,i_meth,p_meth,i_meth_label,p_meth_label\r\n";
    let train = format!(
        "{head}a.png,\"First, \"\"line\"\"\r\nsecond line\",x2,p,l2,q\r\nb.png,plain caption,x1,p,l1,q\r\na.png,again ,x1,p,l1,q\r\n"
    );
    write(raw.path().join("train.csv"), train);
    write(raw.path().join("dev.csv"), format!("{head}a.png,dev caption,x1,p,l1,q"));
    write(raw.path().join("test.csv"), format!("{head}b.png,test caption,x3,p,l1,q\n"));
    for image in ["a.png", "b.png"] {
        write(raw.path().join("melinda_images").join(image), png(image.len()));
    }
    let out = tempfile::tempdir().unwrap();
    run(SetName::Melinda, raw.path(), out.path(), &options()).unwrap();
    let file = ArrowFile::open(&out.path().join("cls_melinda_train.arrow")).unwrap();
    let row = file.classes(0).unwrap();
    // Captions stay as they are, and an image has all of its own.
    assert_eq!((row.captions, row.image_id), (vec!["First, \"line\"\r\nsecond line", "again "], "a.png"));
    assert_eq!(row.labels, [vec![1, 0], vec![0, 0], vec![1, 0], vec![0, 0]]);
    assert_eq!(file.label_names().unwrap().unwrap()["i_meth"], ["x1", "x2", "x3"]);
    assert_eq!(ArrowFile::open(&out.path().join("cls_melinda_val.arrow")).unwrap().len(), 1);

    write(raw.path().join("test.csv"), "figure_file,caption,i_meth\na,b,c\n");
    let error = plan(SetName::Melinda, raw.path(), &options()).unwrap_err().to_string();
    assert!(error.contains("test.csv") && error.contains("no column p_meth"), "{error}");
}

#[test]
fn medicat_keeps_radiology_and_splits_by_the_seed() {
    let raw = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for i in 0..25 {
        let caption = format!("Figure {i}.  A\u{A0}chest radiograph");
        let references = match i {
            0 => serde_json::Value::Null,
            _ => serde_json::json!(["see figure", caption, format!("As shown in {i}.")]),
        };
        let record = serde_json::json!({
            "pdf_hash": "hash", "fig_uri": format!("{i}.png"), "s2_caption": caption, "s2orc_references": references,
            "radiology": i % 5 != 4,
        });
        lines += &format!("{record}\r\n");
        write(raw.path().join("release/figures").join(format!("hash_{i}.png")), png(i));
    }
    write(raw.path().join("release/some.jsonl"), &lines);
    let plans = plan(SetName::Medicat, raw.path(), &options()).unwrap();
    assert_eq!(plans[0].splits.iter().map(|split| split.rows.len()).collect::<Vec<_>>(), [16, 2, 2]);
    let all = plans[0].splits.iter().flat_map(|split| &split.rows);
    let row = all.clone().find(|row| row.image_id == "hash_7.png").unwrap();
    assert_eq!(row.data, RowData::Captions(vec!["Figure 7. A chest radiograph".into(), "As shown in 7.".into()]));
    // 5 are no radiology; of 19 with references, one is short and one the caption again.
    assert_eq!(plans[0].splits[0].dropped.len(), 5 + 19 * 2);
    let other = plan(SetName::Medicat, raw.path(), &PrepareOptions { seed: 1, ..options() }).unwrap();
    assert_ne!(images(&other[0], 2), images(&plans[0], 2));

    write(raw.path().join("release/some.jsonl"), format!("{lines}not json"));
    let error = plan(SetName::Medicat, raw.path(), &options()).unwrap_err().to_string();
    assert!(error.contains("some.jsonl, line 26: not a JSON record"), "{error}");
}

#[test]
fn references_join_roco_through_its_links_or_licences() {
    let parent = tempfile::tempdir().unwrap();
    let raw = parent.path().join("roco");
    for split in ["train", "val", "test"] {
        let folder = raw.join(split).join("radiology");
        write(folder.join("captions.txt"), "ROCO_1\t One two three.\nROCO_1\tfour five six\nROCO_2\tseven eight nine");
        write(folder.join("images/ROCO_1.JPG"), png(1));
        write(folder.join("images/ROCO_2.jpg"), png(2));
        let references = format!("medicat/net/nfs2.corp/allennlp/sanjays/roco_files/roco_{split}_references.jsonl");
        let known = serde_json::json!({
            "roco_image_id": "PMC1_fig-g1.1.jpg", "gorc_references": ["As  Figure 1 shows.", "too short"],
        });
        let unknown = serde_json::json!({"roco_image_id": "PMC2_fig-g1.1.jpg", "gorc_references": null});
        write(parent.path().join(references), format!("{known}\n{unknown}\n"));
    }
    let missing = plan(SetName::Roco, &raw, &options()).unwrap_err().to_string();
    assert!(missing.contains("train/radiology/dlinks.txt is missing: expected it or licences.txt"), "{missing}");
    let links = "ROCO_1\twget -r ftp://host/oa_package/f4/PMC1.tar.gz -O a.tar.gz\tfig-g1.1.jpg\n";
    write(raw.join("train/radiology/dlinks.txt"), links);
    write(raw.join("val/radiology/licences.txt"), "ROCO_ID,PMC_ID,CC\nROCO_1,PMC1_fig-g1.1.jpg,CC BY-NC\n");
    write(raw.join("test/radiology/dlinks.txt"), "");
    let plans = plan(SetName::Roco, &raw, &options()).unwrap();
    let texts = |split: usize| plans[0].splits[split].rows[0].data.clone();
    let captions = |texts: &[&str]| RowData::Captions(texts.iter().map(|text| (*text).to_owned()).collect());
    for split in [0, 1] {
        assert_eq!(texts(split), captions(&["One two three.", "four five six", "As Figure 1 shows."]));
        let reasons: Vec<_> = plans[0].splits[split].dropped.iter().map(|dropped| dropped.reason.as_str()).collect();
        assert_eq!(reasons, ["fewer than 3 words", "references to an image that is not there"]);
    }
    assert_eq!(texts(2), captions(&["One two three.", "four five six"]));
}

#[test]
fn retrieval_is_of_the_captions_that_pythons_shuffle_puts_first() {
    let raw = tempfile::tempdir().unwrap();
    // What random.seed(42) makes of 10, 7 and then 2050 lines.
    for (split, count) in [("train", 10), ("val", 7), ("test", 2050)] {
        let folder = raw.path().join(split).join("radiology");
        let lines: Vec<String> = (0..count).map(|i| format!("i{i}\tcaption of {i}")).collect();
        let lines = lines.join("\n").replace("i3\tcaption of 3", "i3\ttoo short") + "\n\n";
        write(folder.join("captions.txt"), lines);
        (0..count).filter(|i| *i != 3).for_each(|i| write(folder.join(format!("images/i{i}.jpg")), png(0)));
    }
    let plans = plan(SetName::IrtrRoco, raw.path(), &options()).unwrap();
    let of = |split: usize| images(&plans[0], split);
    assert_eq!(of(0), [7, 2, 8, 5, 6, 9, 4, 0, 1].map(|i| format!("i{i}.jpg")));
    assert_eq!(of(1), [1, 2, 5, 6, 0, 4].map(|i| format!("i{i}.jpg")));
    assert_eq!((of(2).len(), of(2)[0], of(2)[1999]), (2000, "i132.jpg", "i1287.jpg"));
    let past = plans[0].splits[2].dropped.iter().filter(|dropped| !dropped.broken).count();
    // And the short one, and the blank line.
    assert_eq!((past, plans[0].splits[1].file_name.as_str()), (49 + 2, "irtr_roco_val.arrow"));
}

#[test]
fn medical_questions_have_both_namings_and_bars_in_answers() {
    let (distributed, renamed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for split in ["train", "val"] {
        for (number, category) in [("C1", "Modality"), ("C3", "Organ"), ("C2", "Plane")] {
            let line = format!("{category}{split}|what {category}?|an|swer\r\n");
            write(distributed.path().join(split).join(format!("{number}_{category}_{split}.txt")), &line);
            write(renamed.path().join(split).join("QA").join(format!("{category}.csv")), &line);
        }
    }
    let joint = "a|plane|which plane?|yes\nb|abnormality|what?|free text\nc|modality|which?|ct\nd|organ|which?|lung";
    write(distributed.path().join("test/VQAMed2019_Test_Questions_w_Ref_Answers.txt"), joint);
    for (category, line) in [("Modality", "c|which?|ct"), ("Organ", "d|which?|lung"), ("Plane", "a|which plane?|yes")] {
        write(renamed.path().join("test/QA").join(format!("{category}.csv")), line);
    }
    let both = [&distributed, &renamed].map(|raw| plan(SetName::VqaMed2019, raw.path(), &options()).unwrap().remove(0));
    let rows = |plan: &Plan| {
        plan.splits.iter().flat_map(|s| &s.rows).map(|r| (r.image_id.clone(), r.data.clone())).collect::<Vec<_>>()
    };
    assert_eq!(rows(&both[0]), rows(&both[1]));
    assert_eq!(images(&both[0], 2), ["c.jpg", "d.jpg", "a.jpg"]);
    let RowData::Questions { answer_types, question_ids, .. } = &both[0].splits[2].rows[2].data else { unreachable!() };
    assert_eq!((answer_types.as_slice(), question_ids.as_slice()), ([1].as_slice(), [8].as_slice()));
    assert_eq!(both[0].vocabulary.as_ref().unwrap().answers()[0], "an|swer");
    let types = both.each_ref().map(|plan| &plan.splits[2].question_types);
    assert_eq!(
        (types[0]["a.jpg"].as_slice(), types[1]["d.jpg"].as_slice()),
        (&["plane".into()][..], &["organ".into()][..])
    );
}

#[test]
fn slake_is_read_in_the_language_asked_for() {
    let raw = tempfile::tempdir().unwrap();
    let record = |id: i64, language: &str| {
        serde_json::json!({
            "qid": id, "img_name": "xmlab1/source.jpg", "question": "?", "answer": format!("{language} {id}"),
            "answer_type": "OPEN", "q_lang": language, "content_type": if id == 1 { "Organ" } else { "Plane" },
        })
    };
    for file in ["train.json", "validate.json", "test.json"] {
        write(
            raw.path().join(file),
            serde_json::json!([record(1, "en"), record(2, "zh"), record(3, "en")]).to_string(),
        );
    }
    let ids = |language| {
        let plans = plan(SetName::Slake, raw.path(), &PrepareOptions { language, ..options() }).unwrap();
        match &plans[0].splits[0].rows[0].data {
            RowData::Questions { question_ids, .. } => question_ids.clone(),
            _ => unreachable!(),
        }
    };
    let chosen = [Language::English, Language::Chinese, Language::All].map(ids);
    assert_eq!(chosen, [vec![1, 3], vec![2], vec![1, 2, 3]]);
    assert_eq!(ids(PrepareOptions::default().language), [1, 3]);
    let plans = plan(SetName::Slake, raw.path(), &options()).unwrap();
    assert_eq!(plans[0].splits[1].question_types["xmlab1/source.jpg"], ["Organ", "Plane"]);
}

#[test]
fn a_phantom_set_of_any_configuration_is_prepared_as_it_is() {
    let (parent, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = PhantomConfig {
        side: 32,
        train: 4,
        val: 1,
        test: 1,
        vqa_train: 2,
        vqa_val: 1,
        vqa_test: 1,
        ..PhantomConfig::default()
    };
    let raw = parent.path().join("phantom");
    m3ae_prepare::phantom::ensure(&raw, &config).unwrap();
    run(SetName::Phantom, &raw, out.path(), &PrepareOptions { decode_images: true, ..options() }).unwrap();
    let rows = |name: &str| ArrowFile::open(&out.path().join(name)).unwrap().len();
    assert_eq!((rows("phantom_train.arrow"), rows("vqa_phantom_train.arrow")), (4, 2));
    // What is no phantom set is left alone.
    fs::remove_file(raw.join("phantom.json")).unwrap();
    assert!(run(SetName::Phantom, &raw, out.path(), &options()).is_err());
}
