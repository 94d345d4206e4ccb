//! Frames: the unit of writing, checking and losing.
