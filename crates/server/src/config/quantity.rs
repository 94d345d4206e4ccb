//! Durations and sizes as people write them in YAML: `15m`, `1d12h`, `2GiB`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A duration, in Prometheus' notation: `ms s m h d w y`, largest unit first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration {
    /// Milliseconds.
    pub ms: i64,
}

const DURATION_UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// A size in bytes: a number, or one with `KiB`, `MiB`, `GiB`, `TiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Bytes.
    pub bytes: u64,
}

const SIZE_UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Duration {
    /// A duration of `ms` milliseconds.
    pub const fn from_ms(ms: i64) -> Self {
        Self { ms }
    }

    /// Reads `1d12h`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a duration; write for example 30s, 15m, 2h, 1d12h, 400ms");
        if text == "0" {
            return Ok(Self { ms: 0 });
        }
        let (mut rest, mut ms, mut next_unit) = (text, 0i64, 0);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let count: i64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let unit =
                DURATION_UNITS[next_unit..].iter().position(|unit| unit.0 == &rest[..letters]).ok_or_else(wrong)?;
            let unit_ms = DURATION_UNITS[next_unit + unit].1;
            ms = count.checked_mul(unit_ms).and_then(|part| ms.checked_add(part)).ok_or_else(wrong)?;
            next_unit += unit + 1;
            rest = &rest[letters..];
        }
        if text.is_empty() { Err(wrong()) } else { Ok(Self { ms }) }
    }
}

impl Size {
    /// A size of `bytes` bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self { bytes }
    }

    /// Reads `2GiB`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a size; write for example 512KiB, 64MiB, 2GiB or a number of bytes");
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let count: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let unit = match &text[digits..] {
            "" => 1,
            name => SIZE_UNITS.iter().find(|unit| unit.0 == name).ok_or_else(wrong)?.1,
        };
        Ok(Self { bytes: count.checked_mul(unit).ok_or_else(wrong)? })
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ms == 0 {
            return f.write_str("0");
        }
        let mut rest = self.ms;
        for (name, unit_ms) in DURATION_UNITS {
            if rest >= unit_ms {
                write!(f, "{}{name}", rest / unit_ms)?;
                rest %= unit_ms;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = SIZE_UNITS
            .into_iter()
            .find(|unit| self.bytes >= unit.1 && self.bytes.is_multiple_of(unit.1))
            .unwrap_or(("B", 1));
        write!(f, "{}{name}", self.bytes / unit)
    }
}

macro_rules! as_text {
    ($type:ty) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::parse(text)
            }
        }
    };
}

as_text!(Duration);
as_text!(Size);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_and_written_alike() {
        for (text, ms) in [("15m", 900_000), ("1d12h", 129_600_000), ("400ms", 400), ("1m30s", 90_000), ("0", 0)] {
            assert_eq!(Duration::parse(text), Ok(Duration { ms }));
            assert_eq!(Duration { ms }.to_string(), text);
        }
        for bad in ["", "5", "m", "1x", "1m1h", "1h1h", "-1m", "9999999999999y"] {
            assert!(Duration::parse(bad).is_err(), "{bad}");
        }
        for (text, bytes) in [("2GiB", 2 << 30), ("1536MiB", 1536 << 20), ("17B", 17)] {
            assert_eq!(Size::parse(text), Ok(Size { bytes }));
            assert_eq!(Size { bytes }.to_string(), text);
        }
        assert_eq!(Size::parse("17"), Ok(Size { bytes: 17 }));
        for bad in ["", "GiB", "1GB", "1.5GiB", "99999999999TiB"] {
            assert!(Size::parse(bad).is_err(), "{bad}");
        }
    }
}
