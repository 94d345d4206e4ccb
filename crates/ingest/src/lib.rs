//! longhaul-ingest
