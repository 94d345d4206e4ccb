//! longhaul-block
