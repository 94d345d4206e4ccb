//! longhaul-chunk
