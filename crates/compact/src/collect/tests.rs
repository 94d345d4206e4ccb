//! Whole runs over a bucket in memory with a manual clock: what goes, what stays, and what stops everything.

mod races;
mod runs;
mod stops;
mod yard;
