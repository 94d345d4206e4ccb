//! Which columns a series gets: what its functions need, and no more.

use super::column::{Column, ColumnSet};
use longhaul_downsample::NumberedWindow;
use longhaul_model::Labels;

/// What the names of counters end with, and those of the counters that histograms and summaries are made of.
const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_count", "_sum", "_bucket"];

/// Something that falls in more than one window of so many is no counter.
const WINDOWS_A_RESET: usize = 8;

/// The columns of a series. Nobody asks for the deviation of a counter, whose squares are the dearest column there is; what
/// is no counter has no use for a correction, which for a gauge is as dear. When extremes were measured is left out: two
/// experimental functions ask for it.
pub(super) fn columns_of(labels: &Labels, windows: &[NumberedWindow]) -> ColumnSet {
    let all = ColumnSet::ALL.without(Column::MinTime).without(Column::MaxTime);
    let name = labels.metric_name();
    if COUNTER_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        return all.without(Column::Squares);
    }
    let falls = windows.iter().filter(|it| it.window.floats.is_some_and(|floats| floats.resets > 0)).count();
    if falls * WINDOWS_A_RESET > windows.len() { all.without(Column::Correction) } else { all }
}
