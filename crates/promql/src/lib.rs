//! longhaul-promql
