//! Whether writes may come in at all: kept up to date by the housekeeper, asked before anything is decoded.

use crate::error::WriteError;
use crate::settings::IngestSettings;
use longhaul_disk::Space;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The reasons to turn writes away.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: AtomicBool,
    disk_full: AtomicBool,
    memory_full: AtomicBool,
    no_new_series: AtomicBool,
    inflight_bytes: AtomicU64,
}

/// Bytes of memory that a request may take; given back on drop. It travels with what takes the memory: a client that
/// goes away does not make room that is not there.
#[derive(Debug)]
pub struct Inflight {
    gate: Arc<Gate>,
    size_bytes: u64,
}

impl Gate {
    /// Lets a request of `size_bytes` in, or says why not.
    pub(crate) fn admit(self: &Arc<Self>, size_bytes: u64, settings: &IngestSettings) -> Result<Inflight, WriteError> {
        if self.closed.load(Relaxed) {
            return Err(WriteError::Closed);
        }
        if self.disk_full.load(Relaxed) {
            return Err(WriteError::DiskFull);
        }
        if self.memory_full.load(Relaxed) {
            return Err(WriteError::Memory);
        }
        let before = self.inflight_bytes.fetch_add(size_bytes, Relaxed);
        let inflight = Inflight { gate: self.clone(), size_bytes };
        // A request larger than the whole bound still gets through when it is alone.
        if before > 0 && before + size_bytes > settings.inflight_bytes_max {
            Err(WriteError::Overloaded)
        } else {
            Ok(inflight)
        }
    }

    /// Whether there is room for series that are not known yet.
    pub(crate) fn new_series(&self) -> bool {
        !self.no_new_series.load(Relaxed)
    }

    /// Lets nothing in any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    /// Looks at the disk and at memory. `chunk_bytes` and `series_bytes` are those of all heads.
    pub(crate) fn update(&self, space: Option<Space>, chunk_bytes: u64, series_bytes: u64, settings: &IngestSettings) {
        if let Some(space) = space {
            let reserve_bytes =
                settings.disk_reserve_bytes_max.min(space.total_bytes / 100 * settings.disk_reserve_percent);
            self.disk_full.store(space.available_bytes < reserve_bytes, Relaxed);
        }
        self.memory_full.store(chunk_bytes > settings.chunk_budget_bytes / 4 * 5, Relaxed);
        self.no_new_series.store(series_bytes > settings.series_budget_bytes, Relaxed);
    }

    #[cfg(test)]
    pub(crate) fn inflight_bytes(&self) -> u64 {
        self.inflight_bytes.load(Relaxed)
    }
}

impl Drop for Inflight {
    fn drop(&mut self) {
        self.gate.inflight_bytes.fetch_sub(self.size_bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shortage_has_its_own_answer_and_ends() {
        let settings = IngestSettings {
            inflight_bytes_max: 100,
            chunk_budget_bytes: 1000,
            series_budget_bytes: 1000,
            disk_reserve_bytes_max: 50,
            ..IngestSettings::default()
        };
        let gate = Arc::new(Gate::default());
        let plenty = Some(Space { available_bytes: 50, total_bytes: 10_000 });
        gate.update(plenty, 1250, 1000, &settings);
        let large = gate.admit(500, &settings).expect("a large request alone gets through");
        assert_eq!(gate.admit(1, &settings).err(), Some(WriteError::Overloaded));
        drop(large);
        assert_eq!(gate.inflight_bytes(), 0);
        assert!(gate.admit(1, &settings).is_ok() && gate.new_series());
        gate.update(Some(Space { available_bytes: 49, total_bytes: 10_000 }), 0, 1001, &settings);
        assert_eq!(gate.admit(1, &settings).err(), Some(WriteError::DiskFull));
        assert!(!gate.new_series());
        gate.update(plenty, 1251, 0, &settings);
        assert_eq!(gate.admit(1, &settings).err(), Some(WriteError::Memory));
        gate.update(plenty, 0, 0, &settings);
        assert!(gate.admit(1, &settings).is_ok() && gate.new_series());
        gate.close();
        assert_eq!(gate.admit(1, &settings).err(), Some(WriteError::Closed));
    }
}
