//! The messages as prost generates them from `/proto` (`cargo xtask proto`; never edited by hand). For cold paths and
//! as the oracle of the hand-written decoders.

#![allow(missing_docs, clippy::all, reason = "generated")]

/// Remote write 1.0 and remote read.
pub mod prometheus {
    include!("prometheus.rs");
}

/// Remote write 2.0.
pub mod write_v2 {
    include!("io.prometheus.write.v2.rs");
}

/// The exposition of metrics.
pub mod client {
    include!("io.prometheus.client.rs");
}

/// OpenTelemetry's metrics.
pub mod opentelemetry {
    include!("opentelemetry.rs");
}
