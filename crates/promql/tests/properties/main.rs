//! What holds for every query: committed ones (`queries.txt`, one a line) and random ones, over one small set of series.

mod budget;
mod cancel;
mod counted;
mod data;
mod footprint;
mod generate;
mod instant;
mod print;
mod threads;

/// The committed queries.
fn queries() -> impl Iterator<Item = &'static str> {
    include_str!("queries.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}
