//! longhaul-query
