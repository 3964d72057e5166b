//! Frames, drawn into memory.

use std::time::Duration;

use m3ae_train::{Metrics, StepReport};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde::Deserialize;
use serde::de::value::MapDeserializer;

use super::draw::{Surroundings, draw};
use super::view::View;

/// The frame as lines of text.
fn frame(view: &View, width: u16, height: u16, stopping: bool) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let around = Surroundings { stopping, memory: Some(412 << 20), peak: Some(530 << 20) };
    terminal.draw(|frame| draw(frame, view, &around)).unwrap();
    let cells = terminal.backend().buffer().content();
    let rows = cells.chunks(usize::from(width.max(1)));
    rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>() + "\n").collect()
}

const NAMES: [&str; 5] = ["mlm_loss", "mlm_accuracy", "mim_loss", "itm_loss", "itm_accuracy"];

/// Not through JSON, which has no NaN.
fn metrics(names: [&str; 5], values: [f64; 5]) -> Metrics {
    let pairs = names.into_iter().zip(values);
    Metrics::deserialize(MapDeserializer::<_, serde::de::value::Error>::new(pairs)).unwrap()
}

fn report(step: usize, metrics: Metrics) -> StepReport {
    StepReport {
        step,
        epoch: step as u64 / 150,
        metrics,
        learning_rate: 7e-4 * (1.0 - step as f64 / 600.0),
        gradient_norm: 1.0 + 0.5 * (step as f64).sin(),
        samples_per_second: 22.3,
        seconds: step as f64 * 0.4,
    }
}

/// A run of 600 steps after `steps` of them.
fn view(steps: usize) -> View {
    let mut view = View::new("quickstart", "runs/quickstart".into(), 10);
    view.steps = 600;
    for step in 0..=steps {
        let fall = (-(step as f64) / 200.0).exp();
        let values =
            metrics(NAMES, [2.0 + 5.0 * fall, 0.4 - 0.4 * fall, 0.3 + 1.2 * fall, 0.5 + 0.3 * fall, 0.7 - 0.2 * fall]);
        if step > 0 {
            view.step(&report(step, values.clone()));
        }
        if step % 100 == 0 {
            view.validated(step, &values, step > 0);
        }
    }
    view
}

fn assert_shows(frame: &str, texts: &[&str]) {
    for text in texts {
        assert!(frame.contains(text), "{text:?} is not in\n{frame}");
    }
}

#[test]
fn a_large_terminal_shows_everything() {
    let mut view = view(312);
    view.notice("a checkpoint could not be saved, earlier ones are whole: disk\u{1b}[31m full\n".into());
    let frame = frame(&view, 120, 40, false);
    assert_shows(
        &frame,
        &["quickstart  runs/quickstart", "training", "step 312/600", "epoch 2", "52 %", "spent, 1 min 55 s left"],
    );
    assert_shows(
        &frame,
        &["masked language modelling, loss", "line: training, dots: validation", "•", "7.0000", "step 600"],
    );
    assert_shows(&frame, &["›mlm_loss", "itm_accuracy", "3.0507", "3.1157", "best so far", "step 300"]);
    assert_shows(&frame, &["learning rate", "3.36e-4", "gradient norm", "samples/s", "22.3", "412 MiB", "530 MiB"]);
    assert_shows(&frame, &["notices: 1", "earlier ones are whole: disk [31m full", "q: stop and save", "other metric"]);
    let curve = frame.chars().filter(|c| ('\u{2801}'..='\u{28ff}').contains(c)).count();
    assert!(curve > 60, "{curve} braille characters of curves");
}

#[test]
fn a_usual_terminal_shows_one_chart_and_all_numbers() {
    let mut view = view(312);
    view.choose(true);
    let frame = frame(&view, 80, 24, true);
    assert_shows(
        &frame,
        &[
            "step 312/600",
            "1 min 55 s left",
            "masked tokens predicted correctly",
            "›mlm_accuracy",
            "best so far",
            "412 MiB",
        ],
    );
    assert_shows(&frame, &["stopping: finishing the step, saving", "q again: quit now"]);
}

#[test]
fn the_smallest_terminal_shows_step_and_chosen_metric() {
    let mut view = view(312);
    view.choose(false);
    let frame = frame(&view, 20, 5, false);
    assert_shows(&frame, &["quickst", "step 312/600 52 %", "›itm_accura", "0.65", "q: stop and save"]);
}

#[test]
fn the_beginning_and_the_end_are_named() {
    let none = frame(&View::new("a", "runs/a".into(), 1), 80, 24, false);
    assert_shows(&none, &["starting", "step 0/0", "no values yet", "metric"]);
    let done = frame(&view(600), 80, 24, false);
    assert_shows(&done, &["last step done", "step 600/600", "100 %", "0 s left"]);
}

#[test]
fn no_value_and_no_size_breaks_a_frame() {
    let strange = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300];
    let names = ["", "b\u{1b}[2J", "c", "漢字", "a_name_that_is_longer_than_its_column_has_room_for"];
    let mut hostile = View::new("a very long name of a run, 漢字", "/a/very/long/folder".repeat(9), 1);
    hostile.steps = 3;
    for step in 1..=5 {
        let mut values = strange;
        values.rotate_left(step);
        let values = metrics(names, values);
        hostile.step(&StepReport { learning_rate: f64::NAN, seconds: f64::INFINITY, ..report(step, values.clone()) });
        hostile.validated(step, &values, true);
    }
    hostile.left = Some(Duration::MAX);
    hostile.notice("漢字".repeat(100));
    hostile.notice(String::new());
    assert_shows(&frame(&hostile, 120, 40, false), &["NaN", "-inf", "step 5/3", "100 %"]);
    let empty = View::new("", String::new(), 1);
    for view in [&hostile, &empty, &view(1)] {
        for height in 0..45 {
            for width in (0..130).step_by(7).chain([1, 2, 3]) {
                frame(view, width, height, height % 2 == 0);
            }
        }
    }
}
