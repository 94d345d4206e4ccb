//! longhaul-bucket
