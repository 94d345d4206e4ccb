//! Tests of the whole engine on small data.
