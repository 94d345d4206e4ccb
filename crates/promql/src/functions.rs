//! The functions of PromQL: names, argument types and results. The parser looks calls up here, the checker holds their
//! arguments against the signature, the engine switches on [`Func`].

use crate::ast::ValueType;
use ValueType::{Matrix, Scalar, String, Vector};

/// How a function is called.
#[derive(Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name in a query.
    pub name: &'static str,
    /// Which function it is.
    pub func: Func,
    /// The types of the arguments, in order.
    pub args: &'static [ValueType],
    /// How many of the trailing arguments may be missing.
    pub optional: usize,
    /// Whether the last argument may repeat.
    pub variadic: bool,
    /// How many arguments there may be at most.
    pub args_max: usize,
    /// What a call yields.
    pub returns: ValueType,
    /// Whether the function stands behind a switch ([`ParseOptions::experimental_functions`](crate::ParseOptions)).
    pub experimental: bool,
}

impl Signature {
    /// How many arguments a call must have.
    pub fn args_min(&self) -> usize {
        self.args.len() - self.optional
    }

    /// The type that argument `index` must have; the last one's stands for all that follow.
    pub fn arg_type(&self, index: usize) -> Option<ValueType> {
        match self.args.get(index) {
            None if self.variadic => self.args.last().copied(),
            found => found.copied(),
        }
    }

    const fn new(name: &'static str, func: Func, args: &'static [ValueType], returns: ValueType) -> Self {
        Self { name, func, args, optional: 0, variadic: false, args_max: args.len(), returns, experimental: false }
    }

    /// The last argument may be missing.
    const fn optional(mut self) -> Self {
        self.optional = 1;
        self
    }

    /// The last argument may be missing or repeat.
    const fn variadic(mut self, args_max: usize) -> Self {
        self.optional = 1;
        self.variadic = true;
        self.args_max = args_max;
        self
    }

    const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }
}

/// The function of that name.
pub fn find(name: &str) -> Option<&'static Signature> {
    let index = SIGNATURES.binary_search_by(|signature| signature.name.cmp(name)).ok()?;
    Some(&SIGNATURES[index])
}

/// All functions, by name.
pub fn all() -> &'static [Signature] {
    SIGNATURES
}

/// The functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Func {
    Abs,
    Absent,
    AbsentOverTime,
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    AvgOverTime,
    Ceil,
    Changes,
    Clamp,
    ClampMax,
    ClampMin,
    Cos,
    Cosh,
    CountOverTime,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    DaysInMonth,
    Deg,
    Delta,
    Deriv,
    DoubleExponentialSmoothing,
    End,
    Exp,
    FirstOverTime,
    Floor,
    HistogramAvg,
    HistogramCount,
    HistogramFraction,
    HistogramQuantile,
    HistogramQuantiles,
    HistogramStddev,
    HistogramStdvar,
    HistogramSum,
    Hour,
    Idelta,
    Increase,
    Info,
    Irate,
    LabelJoin,
    LabelReplace,
    LastOverTime,
    Ln,
    Log10,
    Log2,
    MadOverTime,
    MaxOf,
    MaxOverTime,
    MinOf,
    MinOverTime,
    Minute,
    Month,
    Pi,
    PredictLinear,
    PresentOverTime,
    QuantileOverTime,
    Rad,
    Range,
    Rate,
    Resets,
    Round,
    Scalar,
    Sgn,
    Sin,
    Sinh,
    Sort,
    SortByLabel,
    SortByLabelDesc,
    SortDesc,
    Sqrt,
    Start,
    StartTimestamp,
    StddevOverTime,
    StdvarOverTime,
    Step,
    SumOverTime,
    Tan,
    Tanh,
    Time,
    Timestamp,
    TsOfFirstOverTime,
    TsOfLastOverTime,
    TsOfMaxOverTime,
    TsOfMinOverTime,
    Vector,
    Year,
}

/// Sorted by name: [`find`] searches it by halves.
static SIGNATURES: &[Signature] = &[
    Signature::new("abs", Func::Abs, &[Vector], Vector),
    Signature::new("absent", Func::Absent, &[Vector], Vector),
    Signature::new("absent_over_time", Func::AbsentOverTime, &[Matrix], Vector),
    Signature::new("acos", Func::Acos, &[Vector], Vector),
    Signature::new("acosh", Func::Acosh, &[Vector], Vector),
    Signature::new("asin", Func::Asin, &[Vector], Vector),
    Signature::new("asinh", Func::Asinh, &[Vector], Vector),
    Signature::new("atan", Func::Atan, &[Vector], Vector),
    Signature::new("atanh", Func::Atanh, &[Vector], Vector),
    Signature::new("avg_over_time", Func::AvgOverTime, &[Matrix], Vector),
    Signature::new("ceil", Func::Ceil, &[Vector], Vector),
    Signature::new("changes", Func::Changes, &[Matrix], Vector),
    Signature::new("clamp", Func::Clamp, &[Vector, Scalar, Scalar], Vector),
    Signature::new("clamp_max", Func::ClampMax, &[Vector, Scalar], Vector),
    Signature::new("clamp_min", Func::ClampMin, &[Vector, Scalar], Vector),
    Signature::new("cos", Func::Cos, &[Vector], Vector),
    Signature::new("cosh", Func::Cosh, &[Vector], Vector),
    Signature::new("count_over_time", Func::CountOverTime, &[Matrix], Vector),
    Signature::new("day_of_month", Func::DayOfMonth, &[Vector], Vector).optional(),
    Signature::new("day_of_week", Func::DayOfWeek, &[Vector], Vector).optional(),
    Signature::new("day_of_year", Func::DayOfYear, &[Vector], Vector).optional(),
    Signature::new("days_in_month", Func::DaysInMonth, &[Vector], Vector).optional(),
    Signature::new("deg", Func::Deg, &[Vector], Vector),
    Signature::new("delta", Func::Delta, &[Matrix], Vector),
    Signature::new("deriv", Func::Deriv, &[Matrix], Vector),
    Signature::new("double_exponential_smoothing", Func::DoubleExponentialSmoothing, &[Matrix, Scalar, Scalar], Vector)
        .experimental(),
    Signature::new("end", Func::End, &[], Scalar).experimental(),
    Signature::new("exp", Func::Exp, &[Vector], Vector),
    Signature::new("first_over_time", Func::FirstOverTime, &[Matrix], Vector),
    Signature::new("floor", Func::Floor, &[Vector], Vector),
    Signature::new("histogram_avg", Func::HistogramAvg, &[Vector], Vector),
    Signature::new("histogram_count", Func::HistogramCount, &[Vector], Vector),
    Signature::new("histogram_fraction", Func::HistogramFraction, &[Scalar, Scalar, Vector], Vector),
    Signature::new("histogram_quantile", Func::HistogramQuantile, &[Scalar, Vector], Vector),
    Signature::new("histogram_quantiles", Func::HistogramQuantiles, &[Vector, String, Scalar, Scalar], Vector)
        .variadic(12)
        .experimental(),
    Signature::new("histogram_stddev", Func::HistogramStddev, &[Vector], Vector),
    Signature::new("histogram_stdvar", Func::HistogramStdvar, &[Vector], Vector),
    Signature::new("histogram_sum", Func::HistogramSum, &[Vector], Vector),
    Signature::new("hour", Func::Hour, &[Vector], Vector).optional(),
    Signature::new("idelta", Func::Idelta, &[Matrix], Vector),
    Signature::new("increase", Func::Increase, &[Matrix], Vector),
    Signature::new("info", Func::Info, &[Vector, Vector], Vector).optional().experimental(),
    Signature::new("irate", Func::Irate, &[Matrix], Vector),
    Signature::new("label_join", Func::LabelJoin, &[Vector, String, String, String], Vector).variadic(usize::MAX),
    Signature::new("label_replace", Func::LabelReplace, &[Vector, String, String, String, String], Vector),
    Signature::new("last_over_time", Func::LastOverTime, &[Matrix], Vector),
    Signature::new("ln", Func::Ln, &[Vector], Vector),
    Signature::new("log10", Func::Log10, &[Vector], Vector),
    Signature::new("log2", Func::Log2, &[Vector], Vector),
    Signature::new("mad_over_time", Func::MadOverTime, &[Matrix], Vector).experimental(),
    Signature::new("max_of", Func::MaxOf, &[Scalar, Scalar], Scalar).experimental(),
    Signature::new("max_over_time", Func::MaxOverTime, &[Matrix], Vector),
    Signature::new("min_of", Func::MinOf, &[Scalar, Scalar], Scalar).experimental(),
    Signature::new("min_over_time", Func::MinOverTime, &[Matrix], Vector),
    Signature::new("minute", Func::Minute, &[Vector], Vector).optional(),
    Signature::new("month", Func::Month, &[Vector], Vector).optional(),
    Signature::new("pi", Func::Pi, &[], Scalar),
    Signature::new("predict_linear", Func::PredictLinear, &[Matrix, Scalar], Vector),
    Signature::new("present_over_time", Func::PresentOverTime, &[Matrix], Vector),
    Signature::new("quantile_over_time", Func::QuantileOverTime, &[Scalar, Matrix], Vector),
    Signature::new("rad", Func::Rad, &[Vector], Vector),
    Signature::new("range", Func::Range, &[], Scalar).experimental(),
    Signature::new("rate", Func::Rate, &[Matrix], Vector),
    Signature::new("resets", Func::Resets, &[Matrix], Vector),
    Signature::new("round", Func::Round, &[Vector, Scalar], Vector).optional(),
    Signature::new("scalar", Func::Scalar, &[Vector], Scalar),
    Signature::new("sgn", Func::Sgn, &[Vector], Vector),
    Signature::new("sin", Func::Sin, &[Vector], Vector),
    Signature::new("sinh", Func::Sinh, &[Vector], Vector),
    Signature::new("sort", Func::Sort, &[Vector], Vector),
    Signature::new("sort_by_label", Func::SortByLabel, &[Vector, String], Vector).variadic(usize::MAX).experimental(),
    Signature::new("sort_by_label_desc", Func::SortByLabelDesc, &[Vector, String], Vector)
        .variadic(usize::MAX)
        .experimental(),
    Signature::new("sort_desc", Func::SortDesc, &[Vector], Vector),
    Signature::new("sqrt", Func::Sqrt, &[Vector], Vector),
    Signature::new("start", Func::Start, &[], Scalar).experimental(),
    Signature::new("start_timestamp", Func::StartTimestamp, &[Vector], Vector).experimental(),
    Signature::new("stddev_over_time", Func::StddevOverTime, &[Matrix], Vector),
    Signature::new("stdvar_over_time", Func::StdvarOverTime, &[Matrix], Vector),
    Signature::new("step", Func::Step, &[], Scalar).experimental(),
    Signature::new("sum_over_time", Func::SumOverTime, &[Matrix], Vector),
    Signature::new("tan", Func::Tan, &[Vector], Vector),
    Signature::new("tanh", Func::Tanh, &[Vector], Vector),
    Signature::new("time", Func::Time, &[], Scalar),
    Signature::new("timestamp", Func::Timestamp, &[Vector], Vector),
    Signature::new("ts_of_first_over_time", Func::TsOfFirstOverTime, &[Matrix], Vector).experimental(),
    Signature::new("ts_of_last_over_time", Func::TsOfLastOverTime, &[Matrix], Vector).experimental(),
    Signature::new("ts_of_max_over_time", Func::TsOfMaxOverTime, &[Matrix], Vector).experimental(),
    Signature::new("ts_of_min_over_time", Func::TsOfMinOverTime, &[Matrix], Vector).experimental(),
    Signature::new("vector", Func::Vector, &[Scalar], Vector),
    Signature::new("year", Func::Year, &[Vector], Vector).optional(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_found_by_its_name() {
        for signature in all() {
            assert_eq!(find(signature.name), Some(signature), "the table is not sorted at {}", signature.name);
        }
        assert_eq!(find("rates"), None);
    }

    #[test]
    fn the_last_argument_repeats_only_where_it_may() {
        let join = find("label_join").unwrap();
        assert_eq!((join.args_min(), join.arg_type(9)), (3, Some(String)));
        let round = find("round").unwrap();
        assert_eq!((round.args_min(), round.arg_type(1), round.arg_type(2)), (1, Some(Scalar), None));
    }
}
