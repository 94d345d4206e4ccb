//! The columns of a sample frame.
