//! Functions of a value taken as seconds since the epoch, in UTC (proleptic Gregorian calendar).

use crate::functions::Func;

/// The date function that `func` is, if it is one. NaN yields NaN (Prometheus: whatever the processor makes of it).
pub fn part_of_date(func: Func) -> Option<fn(f64) -> f64> {
    Some(match func {
        Func::DayOfMonth => |v| of_date(v, |date| date.day),
        Func::DayOfWeek => |v| of_seconds(v, |s| (s.div_euclid(86_400) + 4).rem_euclid(7)),
        Func::DayOfYear => |v| of_date(v, |date| date.day_of_year()),
        Func::DaysInMonth => |v| of_date(v, |date| days_in_month(date.year, date.month)),
        Func::Hour => |v| of_seconds(v, |s| s.rem_euclid(86_400) / 3600),
        Func::Minute => |v| of_seconds(v, |s| s.rem_euclid(3600) / 60),
        Func::Month => |v| of_date(v, |date| date.month),
        Func::Year => |v| of_date(v, |date| date.year),
        _ => return None,
    })
}

/// A time as Go's `time.RFC3339` writes it in UTC, to the second.
pub fn rfc3339(t_ms: i64) -> String {
    let seconds = t_ms / 1000;
    let (date, second) = (Date::of_day(seconds.div_euclid(86_400)), seconds.rem_euclid(86_400));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{:04}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", date.year, date.month, date.day)
}

struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// Counts in eras of 400 years and years that begin in March, so that leap days come last.
    fn of_day(days_since_epoch: i64) -> Self {
        let days = days_since_epoch + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Self { year: era * 400 + year_of_era + i64::from(month <= 2), month, day }
    }

    fn day_of_year(&self) -> i64 {
        (1..self.month).map(|month| days_in_month(self.year, month)).sum::<i64>() + self.day
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

fn of_seconds(value: f64, part: impl Fn(i64) -> i64) -> f64 {
    if value.is_nan() { f64::NAN } else { part(value as i64) as f64 }
}

fn of_date(value: f64, part: impl Fn(Date) -> i64) -> f64 {
    of_seconds(value, |seconds| part(Date::of_day(seconds.div_euclid(86_400))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(func: Func, seconds: f64) -> f64 {
        part_of_date(func).unwrap()(seconds)
    }

    #[test]
    fn dates_of_known_instants() {
        // 2024-02-29T23:59:59Z, a Thursday.
        let leap = 1_709_251_199.0;
        let parts = [Func::Year, Func::Month, Func::DayOfMonth, Func::DayOfWeek, Func::DayOfYear, Func::DaysInMonth];
        assert_eq!(parts.map(|part| at(part, leap)), [2024.0, 2.0, 29.0, 4.0, 60.0, 29.0]);
        assert_eq!((at(Func::Hour, leap), at(Func::Minute, leap)), (23.0, 59.0));
        // 1969-12-31T23:59:59Z, a Wednesday.
        assert_eq!(parts.map(|part| at(part, -1.0)), [1969.0, 12.0, 31.0, 3.0, 365.0, 31.0]);
        assert_eq!(at(Func::DaysInMonth, -2_203_977_600.0), 28.0, "February 1900 has no leap day");
    }

    #[test]
    fn times_as_text() {
        assert_eq!(rfc3339(1_709_251_199_999), "2024-02-29T23:59:59Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn the_edges_of_time_do_not_panic() {
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 9.3e18] {
            assert!(at(Func::Year, value).is_finite());
            assert!(at(Func::DayOfYear, value).is_finite());
        }
        assert!(at(Func::Year, f64::NAN).is_nan());
    }
}
