//! Trials of what several crates do together to one bucket: shipping, compaction and garbage collection under faults of the
//! store, with the invariants of `docs/INVARIANTS.md` asserted after every change.
//!
//! Nothing but tests: they stand apart because ingesting and compaction know nothing of each other.
//!
//! - `site.rs`: a bucket, disks and a clock, in a state in which everybody has something to do.
//! - `process.rs`: those who do it.
//! - `judge.rs`: sees every change of the bucket, and panics at what must not be.
//! - `case.rs`: what goes wrong in a run; `run.rs`: a run.
//! - `store_faults.rs`: every step, every fault, every continuation.

#[cfg(test)]
mod case;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod process;
#[cfg(test)]
mod run;
#[cfg(test)]
mod site;
#[cfg(test)]
mod store_faults;
