//! See `longhaul_testkit::fuzz::parse_print_parse`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| longhaul_testkit::fuzz::parse_print_parse(bytes));
