//! Durations: literals, and arithmetic with them, `step()` and `range()`.

use super::{Parser, Stop, Tree, duration_fact};
use crate::ast::{BinaryOp, DurationExpr, DurationKind, DurationOp, Span};
use crate::durations::SECONDS_MAX;
use crate::token::{Fact, Token, TokenKind};

/// What stands where a duration was asked for.
pub(super) struct Amount {
    /// The duration if it is a literal, else 0.
    pub(super) milliseconds: i64,
    /// The duration if it is more than a literal.
    pub(super) expr: Option<Box<DurationExpr>>,
}

/// What error texts say of the place.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) context: &'static str,
    pub(super) expected: &'static str,
}

impl Asked {
    pub(super) const RANGE: Self =
        Self { context: "subquery or range selector", expected: "number, duration, step(), or range()" };
    pub(super) const STEP: Self =
        Self { context: "subquery selector", expected: "number, duration, step(), range(), or \"]\"" };
    const OFFSET: Self = Self { context: "offset", expected: "number, duration, step(), or range()" };
}

/// Binding powers, as in expressions.
const LOOSEST: u8 = 1;
const POWER: u8 = 3;

fn operator(kind: TokenKind) -> Option<(DurationOp, u8)> {
    let TokenKind::Operator(op) = kind else { return None };
    Some(match op {
        BinaryOp::Add => (DurationOp::Add, LOOSEST),
        BinaryOp::Sub => (DurationOp::Sub, LOOSEST),
        BinaryOp::Mul => (DurationOp::Mul, 2),
        BinaryOp::Div => (DurationOp::Div, 2),
        BinaryOp::Mod => (DurationOp::Mod, 2),
        BinaryOp::Pow => (DurationOp::Pow, POWER),
        _ => return None,
    })
}

impl Parser<'_> {
    /// A range or a step: a duration greater than 0, as far as that is known.
    pub(super) fn positive_duration(&mut self, asked: Asked) -> Result<Amount, Stop> {
        let tree = self.duration_expression(LOOSEST, asked)?;
        if let DurationKind::Number(seconds) | DurationKind::Duration(seconds) = tree.node.kind
            && seconds <= 0.0
        {
            return self.fail(tree.node.span, "duration must be greater than 0");
        }
        Ok(amount(tree.node))
    }

    /// What follows `offset`: one operand, since `foo offset 5m - 3` subtracts from the samples. Only after a
    /// parenthesis that has no sign arithmetic goes on: `foo offset (5m) - 3` looks back 4m57s.
    pub(super) fn offset_duration(&mut self) -> Result<Amount, Stop> {
        let tree = if self.token.kind == TokenKind::LeftParen {
            self.duration_expression(LOOSEST, Asked::OFFSET)?
        } else {
            self.duration_operand(Asked::OFFSET, |parser, asked| match parser.token.kind {
                TokenKind::Operator(BinaryOp::Add | BinaryOp::Sub) => parser.duration_expression(POWER, asked),
                _ => parser.duration_primary(asked),
            })?
        };
        Ok(amount(tree.node))
    }

    fn duration_expression(&mut self, binding_min: u8, asked: Asked) -> Result<Tree<DurationExpr>, Stop> {
        self.descend()?;
        let mut lhs = self.duration_operand(asked, |parser, asked| parser.duration_expression(POWER, asked))?;
        while let Some((op, tightness)) = operator(self.token.kind) {
            if tightness < binding_min {
                break;
            }
            let sign = self.advance();
            let right = if op == DurationOp::Pow { tightness } else { tightness + 1 };
            let rhs = self.duration_expression(right, asked)?;
            self.experimental(lhs.node.span)?;
            let by_zero = matches!(rhs.node.kind, DurationKind::Number(0.0) | DurationKind::Duration(0.0));
            match op {
                DurationOp::Div if by_zero => return self.fail(sign.span, "division by zero"),
                DurationOp::Mod if by_zero => return self.fail(sign.span, "modulo by zero"),
                _ => {}
            }
            let (span, height) = (lhs.node.span.to(rhs.node.span), lhs.height.max(rhs.height));
            let kind = DurationKind::Binary(op, Box::new((lhs.node, rhs.node)));
            lhs = self.grow_duration(kind, span, height)?;
        }
        self.depth -= 1;
        Ok(lhs)
    }

    /// A primary duration, or a sign and what `signed` reads after it.
    fn duration_operand(
        &mut self,
        asked: Asked,
        signed: impl FnOnce(&mut Self, Asked) -> Result<Tree<DurationExpr>, Stop>,
    ) -> Result<Tree<DurationExpr>, Stop> {
        let TokenKind::Operator(op @ (BinaryOp::Add | BinaryOp::Sub)) = self.token.kind else {
            return self.duration_primary(asked);
        };
        let sign = self.advance();
        let mut operand = signed(self, asked)?;
        let span = sign.span.to(operand.node.span);
        match &mut operand.node.kind {
            DurationKind::Number(seconds) | DurationKind::Duration(seconds) => {
                if op == BinaryOp::Sub {
                    *seconds = -*seconds;
                }
                operand.node.span = span;
                Ok(operand)
            }
            _ if op == BinaryOp::Add => Ok(operand),
            _ => self.grow_duration(DurationKind::Negative(Box::new(operand.node)), span, operand.height),
        }
    }

    fn duration_primary(&mut self, asked: Asked) -> Result<Tree<DurationExpr>, Stop> {
        if let Some(fact) = duration_fact(self.token.kind) {
            let word = self.advance();
            return self.duration_call(fact, word, asked);
        }
        match self.token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let span = self.token.span;
                let (seconds, is_duration) = self.number_or_duration()?;
                if seconds.abs() > SECONDS_MAX {
                    return self.fail(span, "duration out of range");
                }
                let kind = if is_duration { DurationKind::Duration(seconds) } else { DurationKind::Number(seconds) };
                self.grow_duration(kind, span, 0)
            }
            TokenKind::LeftParen => {
                let open = self.advance();
                let inner = self.duration_expression(LOOSEST, asked)?;
                let Some(close) = self.accept(TokenKind::RightParen) else {
                    return self.unexpected(asked.context, asked.expected);
                };
                self.experimental(inner.node.span)?;
                let kind = DurationKind::Paren(Box::new(inner.node));
                self.grow_duration(kind, open.span.to(close.span), inner.height)
            }
            _ => self.unexpected(asked.context, asked.expected),
        }
    }

    /// `step()`, `range()`, `min_of(a, b)` or `max_of(a, b)`, whose word has been read.
    fn duration_call(&mut self, fact: Fact, word: Token, asked: Asked) -> Result<Tree<DurationExpr>, Stop> {
        let (kind, close, height) = match fact {
            Fact::MinOf | Fact::MaxOf => {
                let lhs = self.duration_argument(TokenKind::LeftParen, asked)?;
                let rhs = self.duration_argument(TokenKind::Comma, asked)?;
                let Some(close) = self.accept(TokenKind::RightParen) else {
                    return self.unexpected(asked.context, asked.expected);
                };
                let (height, sides) = (lhs.height.max(rhs.height), Box::new((lhs.node, rhs.node)));
                let kind = if fact == Fact::MinOf { DurationKind::MinOf(sides) } else { DurationKind::MaxOf(sides) };
                (kind, close, height)
            }
            _ => {
                let close = self.empty_parens(asked)?;
                (if fact == Fact::Range { DurationKind::Range } else { DurationKind::Step }, close, 0)
            }
        };
        let span = word.span.to(close.span);
        self.experimental(span)?;
        self.grow_duration(kind, span, height)
    }

    fn duration_argument(&mut self, before: TokenKind, asked: Asked) -> Result<Tree<DurationExpr>, Stop> {
        match self.accept(before) {
            Some(_) => self.duration_expression(LOOSEST, asked),
            None => self.unexpected(asked.context, asked.expected),
        }
    }

    fn experimental(&mut self, span: Span) -> Result<(), Stop> {
        if self.options.duration_expressions {
            return Ok(());
        }
        self.fail(span, "experimental duration expression is not enabled")
    }

    fn grow_duration(&mut self, kind: DurationKind, span: Span, height: usize) -> Result<Tree<DurationExpr>, Stop> {
        self.bound(height + 1, span)?;
        Ok(Tree { node: DurationExpr { kind, span }, height: height + 1 })
    }
}

fn amount(expr: DurationExpr) -> Amount {
    match expr.kind {
        // Nanoseconds first, as Prometheus does: 4.018 is 4018 ms, not 4017.
        DurationKind::Number(seconds) | DurationKind::Duration(seconds) => {
            Amount { milliseconds: (seconds * 1e9).round() as i64 / 1_000_000, expr: None }
        }
        _ => Amount { milliseconds: 0, expr: Some(Box::new(expr)) },
    }
}
