use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn folder(metrics: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("metrics.jsonl"), metrics).unwrap();
    folder
}

fn html(folder: &tempfile::TempDir) -> String {
    train_report(folder.path()).unwrap();
    fs::read_to_string(folder.path().join(REPORT_FILE)).unwrap()
}

fn train(step: u64, loss: f64) -> String {
    format!(
        "{{\"event\":\"train\",\"step\":{step},\"epoch\":0,\"metrics\":{{\"vqa_loss\":{loss},\"what_ever\":0.5}},\
         \"learning_rate\":1e-5,\"gradient_norm\":2.0,\"samples_per_second\":9.5,\"seconds\":{}}}\n",
        step * 2
    )
}

const START: &str =
    "{\"event\":\"start\",\"parameters\":1234567,\"train_samples\":480,\"steps\":100,\"initial\":[\"clip: <all>\"]}\n";
const VALIDATION: &str = "{\"event\":\"validation\",\"step\":0,\"metrics\":{\"vqa_loss\":3.0,\"vqa_score\":0.1}}\n";

#[test]
fn every_metric_has_a_chart_whatever_its_name() {
    let test = "{\"event\":\"test\",\"step\":20,\"metrics\":{\"vqa_score\":0.4321}}\n";
    let html = html(&folder(&format!("{START}{VALIDATION}{}{}{test}", train(10, 2.0), train(20, 1.0))));
    assert!(html.contains("<td class=\"number\">0.4321</td><td class=\"number\">20</td>"));
    for part in ["Step 20 of 100 (20 %), epoch 0", "40 s of training, about 2 min 40 s left", "1,234,567 parameters"] {
        assert!(html.contains(part), "{part}");
    }
    for chart in ["vqa loss", "what ever", "vqa score", "learning rate", "gradient norm", "throughput, samples/s"] {
        assert!(html.contains(&format!("aria-label=\"{chart}\"")), "{chart}");
    }
    assert!(html.contains("clip: &lt;all&gt;"));
}

#[test]
fn a_cut_last_line_and_other_events_are_passed_over_and_damage_is_told() {
    let cut = "{\"event\":\"train\",\"step\":30,\"metr";
    let other = "{\"event\":\"checkpoint\",\"step\":[1]}\n";
    let history = History::parse(format!("{START}{}{other}not json\n\n{cut}", train(10, 2.0)).as_bytes());
    assert_eq!((history.step, history.damaged, history.resumed), (10, 1, 0));
    // Cut within a letter of several bytes.
    let mut bytes = train(10, 2.0).into_bytes();
    bytes.extend([b'"', 0xc3]);
    assert_eq!(History::parse(&bytes).damaged, 0);
}

#[test]
fn numbers_that_are_not_finite_are_gaps() {
    let history = History::parse(b"{\"event\":\"train\",\"step\":1,\"metrics\":{\"a\":null,\"b\":\"text\"}}\n");
    assert!(history.train["a"][0].1.is_nan() && !history.train.contains_key("b"));
}

#[test]
fn after_a_resume_the_later_numbers_count() {
    let validation =
        |step: u64, loss: f64| format!("{{\"event\":\"validation\",\"step\":{step},\"metrics\":{{\"a\":{loss}}}}}\n");
    let lines = [train(10, 5.0), train(20, 4.0), validation(20, 4.5), train(30, 9.0), START.to_owned(), train(20, 3.0)];
    let history = History::parse((lines.concat() + &validation(20, 3.5) + &train(30, 2.0)).as_bytes());
    assert_eq!(history.train["vqa_loss"], [(10.0, 5.0), (20.0, 3.0), (30.0, 2.0)]);
    assert_eq!(history.validation["a"], [(20.0, 3.5)]);
    assert_eq!(history.resumed, 1);
}

#[test]
fn pictures_words_config_and_environment_are_shown_or_their_damage_is() {
    let folder = folder(START);
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("reconstructions-000000.png", b"\x89PNG\r\n\x1a\nrest");
    write("reconstructions-000200.png", b"not a picture");
    write("predictions-000100.json", b"broken");
    write("config.toml", b"[run]\nname = \"<x>\"\n");
    write("environment.json", b"{\"git_commit\": \"abc<\"}");
    let damaged = html(&folder);
    for part in [
        "after step 0",
        "after step 200: a picture is not a PNG",
        "predictions-100 cannot be read",
        "abc&lt;",
        "&lt;x&gt;",
    ] {
        assert!(damaged.contains(part), "{part}");
    }
    let words = r#"[{"text": "chest <mask>", "words": [{"position": 2, "truth": " x", "guesses": [["y", 0.61], [" x", 0.2]]}]}]"#;
    write("predictions-000200.json", words.as_bytes());
    let html = html(&folder);
    assert!(html.contains("<span class=\"good\">✓ x</span>") && html.contains("61\u{a0}%"), "{html}");
    assert!(html.contains("chest &lt;mask&gt;"));
}

#[test]
fn a_folder_without_metrics_is_an_error_that_names_the_file() {
    let error = train_report(&PathBuf::from("no such run")).unwrap_err();
    assert!(error.to_string().contains("metrics.jsonl"), "{error}");
    // A run that has only begun has a page.
    assert!(html(&folder("")).contains("No step has been recorded yet"));
}

#[test]
fn the_page_of_a_long_run_stays_small() {
    let lines: String = (1..=10_000).map(|step| train(step, (step as f64).sin() + 2.0)).collect();
    let html = html(&folder(&lines));
    assert!(html.len() < 400_000, "{}", html.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_it_fail(
        metrics in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..400, values in prop::collection::vec(any::<f64>(), 1..9),
    ) {
        // Anything, then good lines with any numbers, then a line cut anywhere.
        let good: String = values.iter().enumerate().map(|(i, &value)| {
            let value = serde_json::json!(value); // Not finite: null.
            format!("{{\"event\":\"train\",\"step\":{},\"metrics\":{{\"a\":{value}}},\"gradient_norm\":{value}}}\n", i + 1)
        }).collect();
        let mut bytes = metrics;
        bytes.push(b'\n');
        bytes.extend_from_slice(good.as_bytes());
        bytes.extend_from_slice(&good.as_bytes()[..cut.min(good.len())]);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("metrics.jsonl"), bytes).unwrap();
        let html = html(&folder);
        prop_assert!(!html.contains("NaN") && !html.contains("inf\""), "{}", html);
    }
}
