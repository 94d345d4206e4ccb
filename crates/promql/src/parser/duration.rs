//! Durations: literals, and arithmetic with them, `step()` and `range()`.

use super::{Parser, Stop, Tree, duration_fact};
use crate::ast::{BinaryOp, DurationExpr, DurationKind, DurationOp, Span, UnaryOp};
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

    /// What follows `offset`: one operand, since `foo offset 5m - 3` subtracts from the samples. Arithmetic goes on only
    /// after what cannot begin anything else: `foo offset (5m) - 3` and `foo offset - -5m - 3` look back by the difference.
    pub(super) fn offset_duration(&mut self) -> Result<Amount, Stop> {
        let asked = Asked::OFFSET;
        let tree = match self.peek().sign() {
            None if self.peek() == TokenKind::LeftParen => self.duration_expression(LOOSEST, asked)?,
            None => self.duration_primary(asked)?,
            Some(op) => {
                let sign = self.advance();
                if self.peek().sign().is_some() {
                    let operand = self.duration_expression(POWER, asked)?;
                    let lhs = self.sign(op, sign, operand)?;
                    self.duration_operators(lhs, LOOSEST, asked)?
                } else {
                    self.signed_offset(op, sign)?
                }
            }
        };
        Ok(amount(tree.node))
    }

    /// What follows `offset -`, if it is no sign. Unlike elsewhere, a `+` is kept: after it a parenthesis opens no
    /// arithmetic, and neither is it one yet that must be enabled.
    fn signed_offset(&mut self, op: UnaryOp, sign: Token) -> Result<Tree<DurationExpr>, Stop> {
        let asked = Asked::OFFSET;
        let operand = if let Some(fact) = duration_fact(self.peek()) {
            let word = self.advance();
            let call = self.duration_call(fact, word, asked)?;
            self.experimental(sign.span.to(call.node.span))?;
            call
        } else if self.accept(TokenKind::LeftParen).is_some() {
            let inner = self.duration_expression(LOOSEST, asked)?;
            self.duration_token(TokenKind::RightParen, asked)?;
            let span = inner.node.span;
            self.wrap(inner, span)?
        } else {
            let number = self.duration_number(asked, sign.span)?;
            return self.sign(op, sign, number);
        };
        let span = sign.span.to(operand.node.span);
        self.grow_duration(DurationKind::Unary(op, Box::new(operand.node)), span, operand.height)
    }

    fn duration_expression(&mut self, binding_min: u8, asked: Asked) -> Result<Tree<DurationExpr>, Stop> {
        self.descend()?;
        let lhs = match self.peek().sign() {
            None => self.duration_primary(asked)?,
            Some(op) => {
                let sign = self.advance();
                let operand = self.duration_expression(POWER, asked)?;
                self.sign(op, sign, operand)?
            }
        };
        let tree = self.duration_operators(lhs, binding_min, asked)?;
        self.depth -= 1;
        Ok(tree)
    }

    /// All operators after `lhs` that bind at least as tightly as `binding_min`, with their right sides.
    fn duration_operators(
        &mut self,
        mut lhs: Tree<DurationExpr>,
        binding_min: u8,
        asked: Asked,
    ) -> Result<Tree<DurationExpr>, Stop> {
        while let Some((op, tightness)) = operator(self.peek()) {
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
        Ok(lhs)
    }

    /// The operand with its sign: a number takes it over, before anything else a `+` is nothing.
    fn sign(&mut self, op: UnaryOp, sign: Token, mut operand: Tree<DurationExpr>) -> Result<Tree<DurationExpr>, Stop> {
        let span = sign.span.to(operand.node.span);
        match &mut operand.node.kind {
            DurationKind::Number(seconds) | DurationKind::Duration(seconds) => {
                if op == UnaryOp::Minus {
                    *seconds = -*seconds;
                }
                operand.node.span = span;
                Ok(operand)
            }
            _ if op == UnaryOp::Plus => Ok(operand),
            _ => self.grow_duration(DurationKind::Unary(op, Box::new(operand.node)), span, operand.height),
        }
    }

    fn duration_primary(&mut self, asked: Asked) -> Result<Tree<DurationExpr>, Stop> {
        if let Some(fact) = duration_fact(self.peek()) {
            let word = self.advance();
            let call = self.duration_call(fact, word, asked)?;
            self.experimental(call.node.span)?;
            return Ok(call);
        }
        if let TokenKind::LeftParen = self.peek() {
            let open = self.advance();
            let inner = self.duration_expression(LOOSEST, asked)?;
            self.duration_token(TokenKind::RightParen, asked)?;
            self.experimental(inner.node.span)?;
            let span = open.span.to(inner.node.span);
            return self.wrap(inner, span);
        }
        let place = self.next().span;
        self.duration_number(asked, place)
    }

    /// A literal; `place` is what is wrong if there is no such duration.
    fn duration_number(&mut self, asked: Asked, place: Span) -> Result<Tree<DurationExpr>, Stop> {
        if !matches!(self.peek(), TokenKind::Number | TokenKind::Duration) {
            return self.unexpected(asked.context, asked.expected);
        }
        let span = self.next().span;
        let (seconds, is_duration) = self.number_or_duration()?;
        if seconds.abs() > SECONDS_MAX {
            return self.fail(place, "duration out of range");
        }
        let kind = if is_duration { DurationKind::Duration(seconds) } else { DurationKind::Number(seconds) };
        self.grow_duration(kind, span, 0)
    }

    /// `(inner)`; parentheses around parentheses are none. `span` is that of a number in them.
    fn wrap(&mut self, inner: Tree<DurationExpr>, span: Span) -> Result<Tree<DurationExpr>, Stop> {
        let span = match inner.node.kind {
            DurationKind::Paren(_) => return Ok(inner),
            DurationKind::Number(_) | DurationKind::Duration(_) => span,
            _ => inner.node.span,
        };
        self.grow_duration(DurationKind::Paren(Box::new(inner.node)), span, inner.height)
    }

    /// `step()`, `range()`, `min_of(a, b)` or `max_of(a, b)`, whose word has been read.
    fn duration_call(&mut self, fact: Fact, word: Token, asked: Asked) -> Result<Tree<DurationExpr>, Stop> {
        if let Fact::Step | Fact::Range = fact {
            let close = self.empty_parens(asked)?;
            let kind = if fact == Fact::Range { DurationKind::Range } else { DurationKind::Step };
            return self.grow_duration(kind, word.span.to(close.span), 0);
        }
        self.duration_token(TokenKind::LeftParen, asked)?;
        let lhs = self.duration_expression(LOOSEST, asked)?;
        self.duration_token(TokenKind::Comma, asked)?;
        let rhs = self.duration_expression(LOOSEST, asked)?;
        self.duration_token(TokenKind::RightParen, asked)?;
        let (span, height) = (lhs.node.span.to(rhs.node.span), lhs.height.max(rhs.height));
        let sides = Box::new((lhs.node, rhs.node));
        let kind = if fact == Fact::MinOf { DurationKind::MinOf(sides) } else { DurationKind::MaxOf(sides) };
        self.grow_duration(kind, span, height)
    }

    fn duration_token(&mut self, kind: TokenKind, asked: Asked) -> Result<Token, Stop> {
        match self.accept(kind) {
            Some(token) => Ok(token),
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
