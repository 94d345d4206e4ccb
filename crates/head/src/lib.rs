//! longhaul-head
