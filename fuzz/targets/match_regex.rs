//! See `longhaul_testkit::fuzz::match_regex`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| longhaul_testkit::fuzz::match_regex(bytes));
