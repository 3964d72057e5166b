//! `m3ae data inspect <file.arrow>`: describes a prepared file.

use std::path::PathBuf;

use anyhow::{Context, Result};
use m3ae_data::arrow::ArrowFile;
use m3ae_prepare::inspect::{SheetOptions, contact_sheet, inspect};

/// Inspect prepared data.
#[derive(Debug, clap::Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DataCommand {
    /// Print counts, columns, lengths and labels of an Arrow file, and write a PNG with some of its images and texts
    Inspect(InspectArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  m3ae data inspect data/arrows/vqa_vqa_rad_test.arrow")]
struct InspectArgs {
    /// An Arrow file, prepared by this program or by the reference implementation
    file: PathBuf,
    /// The contact sheet to write [default: the Arrow file's name with .png]
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Number of images on the sheet; 0 writes no sheet
    #[arg(long, default_value_t = SheetOptions::default().pictures)]
    pictures: usize,
}

/// Runs the command.
pub fn run(args: &DataArgs) -> Result<()> {
    let DataCommand::Inspect(args) = &args.command;
    let text = inspect(&args.file)?;
    // Written before anything is printed: a closed pipe must not lose the sheet.
    let sheet = (args.pictures > 0).then(|| write_sheet(args)).transpose()?;
    print!("{text}");
    if let Some(path) = sheet {
        println!("contact sheet: {}", path.display());
    }
    Ok(())
}

fn write_sheet(args: &InspectArgs) -> Result<PathBuf> {
    let path = args.sheet.clone().unwrap_or_else(|| args.file.with_extension("png"));
    let options = SheetOptions { pictures: args.pictures, ..SheetOptions::default() };
    let sheet = contact_sheet(&ArrowFile::open(&args.file)?, &options)?;
    sheet.save(&path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
