//! The two ways in which histogram chunks store a number beside the one before it.

use crate::bits::{BitReader, BitWriter};
use crate::varbit::{self, ReadWindow, WindowUse, WriteWindow};

/// A whole number of which the change of the change is stored. All arithmetic wraps: any number can follow any other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trend {
    pub(super) value: i64,
    change: i64,
}

impl Trend {
    /// Begins with `value`; the first change is stored as it is.
    pub(super) fn new(value: i64) -> Self {
        Self { value, change: 0 }
    }

    #[inline]
    pub(super) fn write(&mut self, writer: &mut BitWriter, value: i64) {
        let change = value.wrapping_sub(self.value);
        varbit::write_int(writer, change.wrapping_sub(self.change));
        *self = Self { value, change };
    }

    #[inline(always)]
    pub(super) fn take(&mut self, reader: &mut BitReader<'_>) {
        self.change = self.change.wrapping_add(varbit::take_int(reader));
        self.value = self.value.wrapping_add(self.change);
    }
}

/// A float that was written or read.
pub(super) trait Known {
    /// Its bits.
    fn bits(&self) -> u64;

    /// Its value.
    fn value(&self) -> f64 {
        f64::from_bits(self.bits())
    }
}

/// A float that is written XORed with the one before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct XorWriter {
    bits: u64,
    window: WriteWindow,
}

impl XorWriter {
    /// Begins with `value`, written whole.
    pub(super) fn write_first(writer: &mut BitWriter, value: f64) -> Self {
        writer.write(value.to_bits(), 64);
        Self { bits: value.to_bits(), window: WriteWindow::NONE }
    }

    pub(super) fn write(&mut self, writer: &mut BitWriter, value: f64) {
        let change = value.to_bits() ^ self.bits;
        self.bits = value.to_bits();
        if change == 0 {
            return writer.write(0, 1);
        }
        let found = self.window.fit(change);
        let control = match found {
            WindowUse::Reused => 0b10,
            WindowUse::New => 0b11,
        };
        self.window.write(writer, control, 2, found, change);
    }
}

/// A float that is read XORed with the one before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct XorReader {
    bits: u64,
    window: ReadWindow,
}

impl XorReader {
    /// Takes the first value, which is written whole.
    pub(super) fn take_first(&mut self, reader: &mut BitReader<'_>) {
        self.bits = reader.take_refilled(64);
    }

    #[inline(always)]
    pub(super) fn take(&mut self, reader: &mut BitReader<'_>) {
        reader.refill();
        let next = reader.peek();
        if next >> 63 == 0 {
            return reader.skip(1);
        }
        reader.skip(2);
        if next >> 62 == 0b11 {
            self.window.take(reader);
        }
        self.bits ^= self.window.take_change(reader);
    }
}

impl Default for XorReader {
    fn default() -> Self {
        Self { bits: 0, window: ReadWindow::WHOLE }
    }
}

impl Known for XorWriter {
    fn bits(&self) -> u64 {
        self.bits
    }
}

impl Known for XorReader {
    #[inline]
    fn bits(&self) -> u64 {
        self.bits
    }
}
