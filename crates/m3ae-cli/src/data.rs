//! `m3ae data inspect <file.arrow>`: what a prepared file holds.

use std::path::PathBuf;

use anyhow::{Context, Result};
use m3ae_data::arrow::ArrowFile;
use m3ae_prepare::inspect::{SheetOptions, contact_sheet, inspect};

/// Look into prepared data.
#[derive(Debug, clap::Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DataCommand {
    /// Counts, columns, lengths and labels of an Arrow file, and a PNG of some images with their texts
    Inspect(InspectArgs),
}

#[derive(Debug, clap::Args)]
struct InspectArgs {
    /// An Arrow file: ours, or the reference's own
    file: PathBuf,
    /// Where to write the contact sheet; by default beside the file, ending in .png
    #[arg(long)]
    sheet: Option<PathBuf>,
    /// Images on the sheet; 0 for no sheet
    #[arg(long, default_value_t = SheetOptions::default().pictures)]
    pictures: usize,
}

/// Runs the command.
pub fn run(args: &DataArgs) -> Result<()> {
    let DataCommand::Inspect(args) = &args.command;
    let text = inspect(&args.file)?;
    // Before anything is printed: a reader that is gone must not cost the sheet.
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
