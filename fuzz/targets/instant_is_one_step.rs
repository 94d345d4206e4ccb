//! See `longhaul_testkit::fuzz::instant_is_one_step`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| longhaul_testkit::fuzz::instant_is_one_step(bytes));
