//! `m3ae-lab bench sizes`: what a step costs by batch, image side and text length.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use m3ae_cli::backend::Backend;
use m3ae_cli::output::{say, say_error};
use m3ae_report::{LineChart, Series};
use serde::Serialize;

use super::peer::PeerArgs;
use super::step::{SizeArgs, describe, ours};
use super::turns::{Side, Turn, Work, alternate, write_json};
use super::work::{Kind, Size};

/// What a step costs by batch, image side and text length: ours, in turns with PyTorch where `--peer` names one.
///
/// One size moves along its list while the others stay at --batch, --image and --text. Each turn is a process of its
/// own. Leaves a table, sizes.json and a chart for each size in --out.
#[derive(Debug, clap::Args)]
pub struct SizesArgs {
    /// What a step does
    #[arg(long, value_name = "KIND", default_value = "pretrain")]
    work: Kind,
    #[command(flatten)]
    size: SizeArgs,
    /// Batch sizes, with commas between
    #[arg(long, value_delimiter = ',', value_name = "LIST", default_value = "1,2,4")]
    batches: Vec<usize>,
    /// Image sides
    #[arg(long, value_delimiter = ',', value_name = "LIST", default_value = "192,288,384")]
    images: Vec<usize>,
    /// Text lengths
    #[arg(long, value_delimiter = ',', value_name = "LIST", default_value = "32,64,128")]
    texts: Vec<usize>,
    /// Turns of each at every size
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    #[command(flatten)]
    peer: PeerArgs,
    /// Where sizes.json and the charts are left
    #[arg(long, value_name = "FOLDER", default_value = "runs/bench")]
    out: PathBuf,
}

/// A size that moves.
struct Axis<'a> {
    name: &'static str,
    label: &'static str,
    values: &'a [usize],
    /// The size with this value.
    at: fn(Size, usize) -> Size,
}

/// What was measured at one size.
#[derive(Debug, Serialize)]
struct Point {
    size: Size,
    sides: Vec<Side<Turn>>,
}

#[derive(Debug, Serialize)]
struct Measured {
    work: String,
    points: Vec<Point>,
}

/// Measures, prints the table and draws the charts.
pub fn run(args: &SizesArgs, backend: Backend) -> Result<ExitCode> {
    let centre = args.size.size(args.work);
    let axes = [
        Axis { name: "batch", label: "samples", values: &args.batches, at: |size, batch| Size { batch, ..size } },
        Axis { name: "image", label: "pixels", values: &args.images, at: |size, image| Size { image, ..size } },
        Axis { name: "text", label: "tokens", values: &args.texts, at: |size, text| Size { text, ..size } },
    ];
    let mut sizes: Vec<Size> = Vec::new();
    for size in axes.iter().flat_map(|axis| axis.values.iter().map(|&value| (axis.at)(centre, value))) {
        // Where the lists cross, and what no model reads.
        size.model(args.work)?;
        if !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let mut measured = Measured { work: describe(args.work, centre), points: Vec::new() };
    for (number, size) in sizes.iter().enumerate() {
        say_error!("{} ({} of {})", describe(args.work, *size), number + 1, sizes.len());
        measured.points.push(Point { size: *size, sides: measure(args, *size, backend)? });
        // Of a measurement that is stopped, what there is.
        write_json(Some(&args.out.join("sizes.json")), &backend.device()?, &measured)?;
    }
    for axis in &axes {
        let points: Vec<(usize, &Point)> =
            axis.values.iter().filter_map(|&value| Some((value, measured.at((axis.at)(centre, value))?))).collect();
        say!("{}", table(axis, &points));
        let path = args.out.join(format!("{}-{}.svg", args.work.name(), axis.name));
        let title = format!("Seconds by {} ({})", axis.name, args.work.name());
        m3ae_files::write(&path, chart(&title, axis, &points).draw().document().as_bytes())?;
        say!("{}\n", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(args: &SizesArgs, size: Size, backend: Backend) -> Result<Vec<Side<Turn>>> {
    let (kind, steps) = (args.work, args.size.steps);
    let mut sides: Vec<(&str, Work<'_, Turn>)> = vec![("ours", Box::new(move || ours(kind, size, steps, backend)))];
    if let Some(python) = &args.peer.peer {
        sides.push(("PyTorch", Box::new(move || args.peer.turn(python, kind, size, steps))));
    }
    alternate(args.rounds, sides)
}

impl Measured {
    fn at(&self, size: Size) -> Option<&Point> {
        self.points.iter().find(|point| point.size == size)
    }
}

fn names(points: &[(usize, &Point)]) -> Vec<&'static str> {
    points.first().map(|(_, point)| point.sides.iter().map(|side| side.name).collect()).unwrap_or_default()
}

fn chart(title: &str, axis: &Axis<'_>, points: &[(usize, &Point)]) -> LineChart {
    let mut chart = LineChart::new(title).x_label(axis.label).y_label("seconds").x_from_zero().y_from_zero();
    for (number, name) in names(points).into_iter().enumerate() {
        let line = points.iter().map(|(value, point)| (*value as f64, point.sides[number].seconds())).collect();
        chart = chart.series(Series::new(name, line).with_markers());
    }
    chart
}

fn table(axis: &Axis<'_>, points: &[(usize, &Point)]) -> String {
    let names = names(points);
    let columns: Vec<String> = names.iter().map(|name| format!("{name}, s | {name}, GB |")).collect();
    let mut text =
        format!("| {} ({}) | {}\n|---|{}\n", axis.name, axis.label, columns.join(" "), "---|---|".repeat(names.len()));
    for (value, point) in points {
        let cells: Vec<String> =
            point.sides.iter().map(|side| format!("{:.3} | {:.2} |", side.seconds(), side.peak())).collect();
        let _ = writeln!(text, "| {value} | {}", cells.join(" "));
    }
    text
}
