//! Charts.

mod bins;
mod frame;
mod heat;
mod intervals;
mod line;
mod scale;
mod series;

pub use bins::{Bin, BinChart};
pub use heat::HeatMap;
pub use intervals::{Interval, IntervalPlot};
pub use line::LineChart;
pub use series::Series;

/// Colours there are; the next series begins anew.
const COLOURS: usize = 8;
