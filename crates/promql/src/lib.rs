//! PromQL: text to a checked syntax tree and back, and the evaluation of trees against a [`source::SeriesSource`].
//!
//! Layer 2. The way of a query: [`parse`] (lexer, parser, checker) makes an [`ast::Expr`], [`durations::resolve`]
//! computes what depends on the query's step and range, the engine plans and evaluates it. [`pretty`] shows a tree to
//! people.
//!
//! Knows nothing of where series come from: storage, tenants and HTTP are other crates' business.

pub mod ast;
pub mod budget;
mod check;
pub mod durations;
pub mod engine;
pub mod error;
pub mod functions;
mod lexer;
mod literal;
pub mod memory;
pub mod parser;
pub mod plan;
pub mod printer;
pub mod source;
mod token;
pub mod value;

pub use budget::{Budget, BudgetLimits, CancelFlag, Held};
pub use engine::{Engine, EngineSettings, QueryError, QueryRequest};
pub use error::{DurationError, ParseError, ParseErrors, Position};
pub use parser::{parse, parse_selector};
pub use printer::pretty;
pub use value::{QueryResult, Value};

/// The stack of a thread that parses, prints or runs queries, bytes: room for a tree of the default
/// [`depth_max`](ParseOptions::depth_max). Without optimization a level takes up to 12 KiB, with it a fraction of that.
pub const STACK_SIZE_BYTES: usize = 8 << 20;

/// What a text may contain, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseOptions {
    /// The longest text, bytes. A person writes hundreds; a dashboard's variable that stands for all of thousands of
    /// instances reaches a hundred thousand.
    pub length_max_bytes: usize,
    /// How many levels a tree may have; in `a + b + c` each operator is one. Trees are walked, and dropped, recursively
    /// everywhere: this bounds every stack, see [`STACK_SIZE_BYTES`].
    pub depth_max: usize,
    /// Whether functions marked experimental may be called.
    pub experimental_functions: bool,
    /// Whether arithmetic may stand where durations do: `[5m * 2]`, `offset step()`.
    pub duration_expressions: bool,
    /// Whether `anchored` and `smoothed` may follow a selector.
    pub extended_range_selectors: bool,
    /// Whether `fill`, `fill_left` and `fill_right` may follow a binary operator.
    pub fill_modifiers: bool,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            length_max_bytes: 128 * 1024,
            depth_max: 512,
            experimental_functions: true,
            duration_expressions: true,
            extended_range_selectors: true,
            fill_modifiers: true,
        }
    }
}
