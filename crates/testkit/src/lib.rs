//! longhaul-testkit
