//! What the lexer makes of a text: tokens, and how error texts name them.

use crate::ast::{AggregateOp, BinaryOp, Span, UnaryOp};
use crate::literal::quote;

/// A piece of a query's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// The kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// The text is over.
    End,
    /// The lexer could not go on; what is wrong has been recorded.
    Error,
    Number,
    Duration,
    String,
    /// A word that is no keyword, without colons.
    Identifier,
    /// A word with colons.
    MetricIdentifier,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    /// `=`
    Assign,
    /// `=~`
    Matches,
    /// `!~`
    MatchesNot,
    /// `@`
    At,
    Operator(BinaryOp),
    Aggregator(AggregateOp),
    Keyword(Keyword),
    /// `start`, `end`, `step`, `range`, `min_of`, `max_of`
    Fact(Fact),
}

/// Words that modify what stands around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Offset,
    Anchored,
    Smoothed,
    By,
    Without,
    On,
    Ignoring,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Bool,
}

/// Words that stand for a property of the query where a duration or a time is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    Start,
    End,
    Step,
    Range,
    MinOf,
    MaxOf,
}

/// The longest keyword: `count_values`.
const WORD_MAX: usize = 12;

impl TokenKind {
    /// The keyword that `word` is, in whatever case.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let mut lower = [0; WORD_MAX];
        let lower = lower.get_mut(..word.len())?;
        lower.copy_from_slice(word.as_bytes());
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"and" => Self::Operator(BinaryOp::And),
            b"or" => Self::Operator(BinaryOp::Or),
            b"unless" => Self::Operator(BinaryOp::Unless),
            b"atan2" => Self::Operator(BinaryOp::Atan2),
            b"sum" => Self::Aggregator(AggregateOp::Sum),
            b"avg" => Self::Aggregator(AggregateOp::Avg),
            b"count" => Self::Aggregator(AggregateOp::Count),
            b"min" => Self::Aggregator(AggregateOp::Min),
            b"max" => Self::Aggregator(AggregateOp::Max),
            b"group" => Self::Aggregator(AggregateOp::Group),
            b"stddev" => Self::Aggregator(AggregateOp::Stddev),
            b"stdvar" => Self::Aggregator(AggregateOp::Stdvar),
            b"topk" => Self::Aggregator(AggregateOp::TopK),
            b"bottomk" => Self::Aggregator(AggregateOp::BottomK),
            b"count_values" => Self::Aggregator(AggregateOp::CountValues),
            b"quantile" => Self::Aggregator(AggregateOp::Quantile),
            b"limitk" => Self::Aggregator(AggregateOp::LimitK),
            b"limit_ratio" => Self::Aggregator(AggregateOp::LimitRatio),
            b"offset" => Self::Keyword(Keyword::Offset),
            b"anchored" => Self::Keyword(Keyword::Anchored),
            b"smoothed" => Self::Keyword(Keyword::Smoothed),
            b"by" => Self::Keyword(Keyword::By),
            b"without" => Self::Keyword(Keyword::Without),
            b"on" => Self::Keyword(Keyword::On),
            b"ignoring" => Self::Keyword(Keyword::Ignoring),
            b"group_left" => Self::Keyword(Keyword::GroupLeft),
            b"group_right" => Self::Keyword(Keyword::GroupRight),
            b"fill" => Self::Keyword(Keyword::Fill),
            b"fill_left" => Self::Keyword(Keyword::FillLeft),
            b"fill_right" => Self::Keyword(Keyword::FillRight),
            b"bool" => Self::Keyword(Keyword::Bool),
            b"start" => Self::Fact(Fact::Start),
            b"end" => Self::Fact(Fact::End),
            b"step" => Self::Fact(Fact::Step),
            b"range" => Self::Fact(Fact::Range),
            b"min_of" => Self::Fact(Fact::MinOf),
            b"max_of" => Self::Fact(Fact::MaxOf),
            b"inf" | b"nan" => Self::Number,
            _ => return None,
        })
    }

    /// Whether a metric may be called so.
    pub(crate) fn is_metric_name(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregator(_) | Self::Fact(_) => true,
            Self::Operator(op) => op.is_set(),
            Self::Keyword(keyword) => match keyword {
                Keyword::On | Keyword::Ignoring | Keyword::GroupLeft | Keyword::GroupRight | Keyword::Bool => false,
                Keyword::Offset | Keyword::Anchored | Keyword::Smoothed | Keyword::By | Keyword::Without => true,
                Keyword::Fill | Keyword::FillLeft | Keyword::FillRight => true,
            },
            _ => false,
        }
    }

    /// Whether a label in a list may be called so.
    pub(crate) fn is_label_name(self) -> bool {
        match self {
            Self::Identifier | Self::MetricIdentifier | Self::Aggregator(_) | Self::Fact(_) => true,
            Self::Operator(op) => op.is_set() || op == BinaryOp::Atan2,
            Self::Keyword(keyword) => keyword != Keyword::Without,
            _ => false,
        }
    }

    /// The sign operator that it is before an operand.
    pub(crate) fn sign(self) -> Option<UnaryOp> {
        match self {
            Self::Operator(BinaryOp::Add) => Some(UnaryOp::Plus),
            Self::Operator(BinaryOp::Sub) => Some(UnaryOp::Minus),
            _ => None,
        }
    }

    /// Whether an expression can begin so.
    pub(crate) fn begins_expression(self) -> bool {
        match self {
            Self::Number | Self::Duration | Self::String | Self::LeftParen | Self::LeftBrace => true,
            _ => self.is_metric_name() || self.sign().is_some(),
        }
    }
}

impl Token {
    /// How an error text names the token.
    pub(crate) fn describe(self, text: &str) -> String {
        let value = self.text(text);
        match self.kind {
            TokenKind::End => "end of input".to_owned(),
            TokenKind::Identifier => format!("identifier {}", quote(value)),
            TokenKind::MetricIdentifier => format!("metric identifier {}", quote(value)),
            TokenKind::Keyword(_) => format!("<{value}>"),
            TokenKind::Aggregator(_) => format!("<aggr:{value}>"),
            TokenKind::Operator(_) | TokenKind::At | TokenKind::Matches | TokenKind::MatchesNot => {
                format!("<op:{value}>")
            }
            TokenKind::Number => format!("number {}", abbreviated(value)),
            TokenKind::Duration => format!("duration {}", abbreviated(value)),
            TokenKind::String => format!("string {}", abbreviated(value)),
            _ => abbreviated(value),
        }
    }

    /// The token as written.
    pub(crate) fn text(self, text: &str) -> &str {
        &text[self.span.start as usize..self.span.end as usize]
    }
}

fn abbreviated(value: &str) -> String {
    const BYTES_MAX: usize = 10;
    if value.len() <= BYTES_MAX {
        return quote(value);
    }
    let end = value.char_indices().nth(BYTES_MAX).map_or(value.len(), |(index, _)| index);
    format!("{}...", quote(&value[..end]))
}
