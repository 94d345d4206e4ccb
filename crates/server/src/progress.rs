//! How far a command on the command line has come.

use indicatif::{ProgressBar, ProgressStyle};

/// On a terminal a bar on standard error, elsewhere nothing.
pub(crate) fn progress_bar(length: Option<u64>, unit: &str) -> ProgressBar {
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = format!("{{elapsed_precise}} {{wide_bar}} {{human_pos}} of {{human_len}} {unit}, {{per_sec}}");
    bar.set_style(ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
