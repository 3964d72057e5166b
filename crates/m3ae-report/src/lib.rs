//! Self-contained HTML reports, charts and TensorBoard event files for runs and evaluations.
//!
//! A [`Page`] is one HTML file: styles, charts (SVG) and pictures (PNG in `data:` addresses) are inside, and a content
//! security policy forbids it to load anything. Charts are [`LineChart`], [`BinChart`], [`HeatMap`] and
//! [`IntervalPlot`]; each draws an [`Svg`], which is also a file of its own through [`Svg::document`]. Light and dark
//! schemes follow the reader's setting, and colours are from Okabe and Ito's set, which colour-blind people can tell
//! apart.
//!
//! ```
//! use m3ae_report::{LineChart, Page, Series};
//!
//! let points = (1..=100).map(|step| (f64::from(step), 1.0 / f64::from(step))).collect();
//! let loss = Series::new("train", points).smoothed(0.9);
//! let mut page = Page::new("A run");
//! page.section("Losses").figures([LineChart::new("loss").x_label("step").series(loss).log_y().draw()]);
//! assert!(page.html().contains("<svg"));
//! ```
//!
//! [`train_report`] makes the page of a training run from its folder; [`tensorboard`] writes what TensorBoard reads.
//!
//! # Texts
//! Every text that is given to this crate is escaped; none is read as markup.

mod chart;
mod error;
mod format;
mod page;
mod svg;
pub mod tensorboard;
mod train_report;

pub use chart::{Bin, BinChart, HeatMap, Interval, IntervalPlot, LineChart, Series};
pub use error::ReportError;
pub use format::format_number;
pub use page::{Align, Cell, GalleryItem, Page, Png, Section, Span, Style, Table};
pub use svg::Svg;
pub use train_report::{REPORT_FILE, train_page, train_report};
