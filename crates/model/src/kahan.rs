//! Compensated summation (Kahan, in Neumaier's form), step by step as Prometheus does it, so that sums agree to the bit.

/// A running sum with what rounding has lost so far.
///
/// It starts at minus zero: adding anything to that gives the thing itself, sign of zero included, so that the first
/// value needs no special case.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// The rounded sum.
    pub sum: f64,
    /// What has to be added to it.
    pub lost: f64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { sum: -0.0, lost: 0.0 }
    }
}

impl From<f64> for Sum {
    fn from(value: f64) -> Self {
        Self { sum: value, lost: 0.0 }
    }
}

impl Sum {
    /// The sum with `value` added.
    #[inline(always)]
    pub fn plus(self, value: f64) -> Self {
        let sum = self.sum + value;
        let rest = if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        Self { sum, lost: if sum.is_infinite() { 0.0 } else { self.lost + rest } }
    }

    /// Puts the two parts back where they came from.
    #[inline(always)]
    pub fn store(self, sum: &mut f64, lost: &mut f64) {
        (*sum, *lost) = (self.sum, self.lost);
    }

    /// The corrected sum.
    #[inline(always)]
    pub fn total(self) -> f64 {
        self.sum + self.lost
    }
}

/// A running mean: the compensated sum divided by the count; from the moment the sum would overflow, an incremental mean.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mean {
    sum: Sum,
    count: f64,
    incremental: bool,
}

impl Mean {
    /// The mean with `value` added.
    #[inline]
    pub fn plus(mut self, value: f64) -> Self {
        self.count += 1.0;
        if !self.incremental {
            let next = self.sum.plus(value);
            if !next.sum.is_infinite() || self.count == 1.0 {
                return Self { sum: next, ..self };
            }
            self.incremental = true;
            let before = self.count - 1.0;
            self.sum = Sum { sum: self.sum.sum / before, lost: self.sum.lost / before };
        }
        let share = (self.count - 1.0) / self.count;
        self.sum = Sum { sum: share * self.sum.sum, lost: share * self.sum.lost }.plus(value / self.count);
        self
    }

    /// The mean of what was added; NaN if nothing was.
    #[inline]
    pub fn value(self) -> f64 {
        if self.incremental { self.sum.total() } else { self.sum.sum / self.count + self.sum.lost / self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        values.iter().fold(Sum::default(), |sum, value| sum.plus(*value)).total()
    }

    fn mean(values: &[f64]) -> f64 {
        values.iter().fold(Mean::default(), |mean, value| mean.plus(*value)).value()
    }

    #[test]
    fn sums_keep_what_rounding_loses() {
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert!(sum(&[-0.0]).is_sign_positive(), "-0 and a correction of +0 is +0, in Prometheus too");
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn means_do_not_overflow() {
        assert_eq!(mean(&[f64::MAX, f64::MAX]), f64::MAX);
        assert_eq!(mean(&[f64::MAX, f64::MAX, -f64::MAX]).signum(), 1.0);
        assert_eq!(mean(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(mean(&[f64::NEG_INFINITY, f64::INFINITY]).is_nan());
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
    }
}
