//! A counter over chunks of aggregates: one that never falls, as those who compute rates of it need it.

use longhaul_model::Sample;

/// Joins the samples of a counter's chunks, in order: what it has gained since its first sample, on top of that. A sample at
/// the time of the one before is no sample; it says where the counter really stood at the end of its chunk, so that the next
/// chunk tells whether it was reset in between.
#[derive(Clone, Debug, Default)]
pub struct CounterSamples {
    /// The last sample as it stands in its chunk.
    last: Option<Sample>,
    total: f64,
}

impl CounterSamples {
    /// Takes the next sample; answers with the counter's total, unless it is no sample of the counter. NaN is none.
    pub fn next(&mut self, sample: Sample) -> Option<Sample> {
        if sample.value.is_nan() {
            return None;
        }
        let Some(last) = &mut self.last else {
            (self.last, self.total) = (Some(sample), sample.value);
            return Some(sample);
        };
        if sample.t_ms > last.t_ms {
            self.total += if sample.value >= last.value { sample.value - last.value } else { sample.value };
            *last = sample;
            return Some(Sample::new(sample.t_ms, self.total));
        }
        if sample.t_ms == last.t_ms {
            last.value = sample.value;
        }
        None
    }

    /// Where the counter really stood at the end.
    pub fn last(&self) -> Option<Sample> {
        self.last
    }
}

/// The totals of a counter whose chunks hold `samples`, one chunk after the other.
pub fn apply_resets(samples: impl IntoIterator<Item = Sample>) -> Vec<Sample> {
    let mut counter = CounterSamples::default();
    samples.into_iter().filter_map(|sample| counter.next(sample)).collect()
}
