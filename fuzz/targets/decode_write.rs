//! See `longhaul_testkit::fuzz::decode_write`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| longhaul_testkit::fuzz::decode_write(bytes));
