//! What the numbers in sample frames stand for: written on first use in a segment, twice.
