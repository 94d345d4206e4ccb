//! longhaul-log
