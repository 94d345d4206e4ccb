//! Which columns there are.

/// A column of `columns`, at its number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Column {
    /// Which windows there are.
    Number,
    /// Floats of each.
    Count,
    /// NaNs among them.
    NanCount,
    /// The last value.
    Last,
    /// Its time.
    LastTime,
    /// The first value.
    First,
    /// Its time.
    FirstTime,
    /// The last value but one.
    Prev,
    /// Its time.
    PrevTime,
    /// The smallest number.
    Min,
    /// When it was measured last.
    MinTime,
    /// The largest number.
    Max,
    /// When it was measured last.
    MaxTime,
    /// The sum.
    Sum,
    /// What rounding has lost of it.
    SumLost,
    /// The sum of the values before resets.
    Correction,
    /// Resets.
    Resets,
    /// Changes.
    Changes,
    /// The sum of the squared distances from the mean.
    Squares,
    /// Since when the first sample counts.
    FirstStart,
    /// Since when the last one counts.
    LastStart,
    /// Since when the last but one counts.
    PrevStart,
    /// Whether a start contradicts the sample before.
    Overlaps,
    /// When the series ended.
    Stale,
    /// Histograms of each window.
    HistogramCount,
    /// What they have in common, and the hints of those that are kept.
    HistogramFlags,
    /// The last one.
    HistogramLast,
    /// Its time.
    HistogramLastTime,
    /// The first one.
    HistogramFirst,
    /// Its time.
    HistogramFirstTime,
    /// The last but one.
    HistogramPrev,
    /// Its time.
    HistogramPrevTime,
    /// The sum.
    HistogramSum,
    /// The sum of those before resets.
    HistogramCorrection,
    /// Resets.
    HistogramResets,
    /// Changes.
    HistogramChanges,
    /// Since when the first histogram counts.
    HistogramFirstStart,
    /// Since when the last one counts.
    HistogramLastStart,
    /// Since when the last but one counts.
    HistogramPrevStart,
}

/// Columns of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColumnSet(u64);

impl Column {
    /// All columns by their numbers.
    pub const ALL: [Self; 39] = {
        use Column::*;
        [
            Number,
            Count,
            NanCount,
            Last,
            LastTime,
            First,
            FirstTime,
            Prev,
            PrevTime,
            Min,
            MinTime,
            Max,
            MaxTime,
            Sum,
            SumLost,
            Correction,
            Resets,
            Changes,
            Squares,
            FirstStart,
            LastStart,
            PrevStart,
            Overlaps,
            Stale,
            HistogramCount,
            HistogramFlags,
            HistogramLast,
            HistogramLastTime,
            HistogramFirst,
            HistogramFirstTime,
            HistogramPrev,
            HistogramPrevTime,
            HistogramSum,
            HistogramCorrection,
            HistogramResets,
            HistogramChanges,
            HistogramFirstStart,
            HistogramLastStart,
            HistogramPrevStart,
        ]
    };

    /// Whether a series without a cell in this column has zeros there. Of the others it has nothing.
    pub(super) fn is_zero_if_missing(self) -> bool {
        use Column::*;
        matches!(
            self,
            NanCount
                | SumLost
                | FirstStart
                | LastStart
                | PrevStart
                | Overlaps
                | Stale
                | HistogramCount
                | HistogramFirstStart
                | HistogramLastStart
                | HistogramPrevStart
        )
    }

    /// The columns that must be read for this one to be understood: those that it is written against, and those that say
    /// whether it is exact and how it folds.
    pub(super) fn needs(self) -> ColumnSet {
        use Column::*;
        let beside: &[Self] = match self {
            Number => return ColumnSet::of(&[Number]),
            First => &[Last],
            FirstTime => &[LastTime],
            Prev => &[First, Last],
            PrevTime => &[FirstTime, LastTime],
            PrevStart => &[FirstStart],
            Min | Max => &[First, Last],
            Sum => &[First, Last, SumLost, NanCount, Min, Max],
            MinTime | MaxTime => &[LastTime],
            Squares => &[Min, Max, Sum],
            HistogramFirst | HistogramPrev | HistogramSum | HistogramCorrection => &[HistogramLast, HistogramFlags],
            HistogramLast => &[HistogramFlags],
            HistogramFirstTime => &[HistogramLastTime],
            HistogramPrevTime => &[HistogramFirstTime],
            HistogramPrevStart => &[HistogramFirstStart],
            _ => &[],
        };
        let always = if self as u8 >= HistogramCount as u8 { HistogramCount } else { Count };
        beside.iter().fold(ColumnSet::of(&[self, Number, always]), |set, column| set.union(column.needs()))
    }
}

impl ColumnSet {
    /// Every column.
    pub const ALL: Self = Self((1 << Column::ALL.len()) - 1);

    /// What is kept of floats.
    pub(crate) const FLOATS: Self = Self((1 << Column::Stale as u8) - (1 << Column::Count as u8));

    /// What is kept of histograms.
    pub(crate) const HISTOGRAMS: Self = Self(Self::ALL.0 - ((1 << Column::HistogramCount as u8) - 1));

    /// These columns.
    pub fn of(columns: &[Column]) -> Self {
        columns.iter().fold(Self::default(), |set, column| set.with(*column))
    }

    /// The same with `column` in it.
    #[must_use]
    pub fn with(self, column: Column) -> Self {
        Self(self.0 | 1 << column as u8)
    }

    /// The same without `column`.
    #[must_use]
    pub fn without(self, column: Column) -> Self {
        Self(self.0 & !(1 << column as u8))
    }

    /// Whether `column` is in it.
    pub fn contains(self, column: Column) -> bool {
        self.0 & 1 << column as u8 != 0
    }

    /// The columns of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The columns that both have.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The columns, by number.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Column> {
        Column::ALL.into_iter().filter(move |column| self.contains(*column))
    }

    /// These columns and all that must be read for them to be understood.
    pub(super) fn closed(self) -> Self {
        self.iter().fold(self, |set, column| set.union(column.needs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_at_their_numbers_and_sets_are_closed() {
        for (number, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column as usize, number);
            let closed = column.needs();
            assert_eq!(closed.closed(), closed, "{column:?}");
            assert!(closed.contains(column) && closed.contains(Column::Number));
        }
        assert_eq!(ColumnSet::ALL.iter().count(), Column::ALL.len());
        assert_eq!(ColumnSet::FLOATS.iter().next_back(), Some(Column::Overlaps));
        assert_eq!(ColumnSet::HISTOGRAMS.iter().next(), Some(Column::HistogramCount));
        let set = ColumnSet::of(&[Column::Sum]).closed();
        assert!(set.contains(Column::Last) && !set.contains(Column::Squares) && !set.contains(Column::HistogramCount));
    }
}
