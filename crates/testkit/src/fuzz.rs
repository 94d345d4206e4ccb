//! What must hold for any bytes at all: the bodies of the fuzz targets (`fuzz/`), as plain functions, so that ordinary
//! tests run them over a committed corpus. A body panics where its property is broken.

mod chunks;
mod queries;
mod regexes;
mod writes;

pub use chunks::decode_chunk;
pub use queries::{evaluate_within_budget, instant_is_one_step, parse_print_parse};
pub use regexes::match_regex;
pub use writes::decode_write;

/// A target: its name, which is that of its folder in the corpus, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 6] = [
    ("parse_print_parse", parse_print_parse),
    ("evaluate_within_budget", evaluate_within_budget),
    ("instant_is_one_step", instant_is_one_step),
    ("match_regex", match_regex),
    ("decode_chunk", decode_chunk),
    ("decode_write", decode_write),
];
