//! What every decoder of a write gives: what can be stored, and what cannot.

use crate::refused::Refused;
use longhaul_model::WriteBatch;

/// What a request holds, and what of it could not be read.
#[derive(Debug)]
pub struct Decoded {
    /// What can be stored.
    pub batch: WriteBatch,
    /// What was left out, by reason; empty for a request that holds nothing odd.
    pub refused: Vec<Refused>,
}
