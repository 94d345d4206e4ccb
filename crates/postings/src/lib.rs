//! longhaul-postings
