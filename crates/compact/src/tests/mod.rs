//! Whole compactions on a store in memory: blocks of others and ours, damage, races.

mod damage;
mod deletions;
mod fixtures;
mod merges;
mod races;
mod scrubbing;
mod site;
