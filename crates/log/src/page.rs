//! Pages: where a segment's bytes lie, and where reading resumes after damage.
