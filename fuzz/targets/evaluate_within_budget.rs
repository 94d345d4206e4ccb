//! See `longhaul_testkit::fuzz::evaluate_within_budget`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| longhaul_testkit::fuzz::evaluate_within_budget(bytes));
