//! How values move from one scrape to the next. Everything derives from a hash of (seed, what, when), so that a series
//! needs no memory but its last value.

/// Mixes three numbers into 64 well-spread bits (the finalizer of SplitMix64 over a weighted sum).
pub fn hash(seed: u64, what: u64, when: u64) -> u64 {
    let mut x = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(what.wrapping_mul(0xd1b5_4a32_d192_ed03))
        .wrapping_add(when.wrapping_mul(0x8cb9_2ba7_2f3d_8dd7));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number in [0, 1) of a hash's upper bits.
pub fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

/// What kind of values a series has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Always the same.
    Constant(f64),
    /// A counter that grows by about `per_second`, in whole multiples of 1/`scale`.
    Counter { per_second: f32, scale: f32 },
    /// The part of the pod's requests that falls under a bound: grows by the same draw as its siblings, so that the
    /// buckets of a histogram stay cumulative.
    Bucket { per_second: f32, share: f32 },
    /// A gauge that wanders about `mean` by steps of up to `swing`, in multiples of `quantum`; often it stands still.
    Gauge { mean: f32, swing: f32, quantum: f32 },
}

impl Shape {
    /// The value before the first scrape.
    pub fn first(self, seed: u64, series: u64, pod: u64) -> f64 {
        match self {
            Self::Constant(value) => value,
            Self::Counter { per_second, scale } => {
                let age_s = unit(hash(seed, series, u64::MAX)) * 1e6;
                (f64::from(per_second) * age_s * f64::from(scale)).floor() / f64::from(scale)
            }
            Self::Bucket { per_second, share } => {
                let age_s = unit(hash(seed, pod, u64::MAX)) * 1e6;
                ((f64::from(per_second) * age_s).floor() * f64::from(share)).floor()
            }
            Self::Gauge { mean, quantum, .. } => round_to(f64::from(mean), f64::from(quantum)),
        }
    }

    /// The value that follows `previous`; `step` counts scrapes, which are `step_s` apart.
    pub fn next(self, previous: f64, seed: u64, series: u64, pod: u64, step: u64, step_s: f64) -> f64 {
        match self {
            Self::Constant(value) => value,
            Self::Counter { per_second, scale } => {
                let draw = hash(seed, series, step);
                let expected = f64::from(per_second) * step_s * f64::from(scale) * (0.5 + unit(draw));
                let grown = (expected + unit(draw.rotate_left(32))).floor();
                ((previous * f64::from(scale)).round() + grown) / f64::from(scale)
            }
            Self::Bucket { per_second, share } => {
                let draw = hash(seed, pod, step);
                let requests = f64::from(per_second) * step_s * (0.5 + unit(draw));
                previous + ((requests + unit(draw.rotate_left(32))).floor() * f64::from(share)).floor()
            }
            Self::Gauge { mean, swing, quantum } => {
                let draw = hash(seed, series, step);
                if draw.is_multiple_of(3) {
                    return previous;
                }
                let (mean, swing) = (f64::from(mean), f64::from(swing));
                let wandered = previous + (mean - previous) * 0.05 + swing * (2.0 * unit(draw) - 1.0);
                round_to(wandered.max(0.0), f64::from(quantum))
            }
        }
    }
}

fn round_to(value: f64, quantum: f64) -> f64 {
    (value / quantum).round() * quantum
}
