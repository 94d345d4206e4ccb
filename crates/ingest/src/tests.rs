//! The ingester as a whole, over a simulated disk and a bucket in memory: its invariants one by one, and crashes at
//! every point of a workload.

mod conflicts;
mod crash;
mod cuts;
mod deletions;
mod exemplars;
mod history_store;
mod kinds;
mod late;
mod ledger;
mod metadata;
mod shipping;
mod site;
mod small_tenants;
mod zeros;
