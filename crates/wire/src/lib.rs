//! longhaul-wire
