//! longhaul-server
