//! Selectors and what may follow an expression: ranges, `offset`, `@`, `anchored`, `smoothed`.

use super::duration::{Amount, Asked};
use super::{Parser, Stop, Tree};
use crate::ast::{At, Expr, ExprKind, Extended, MatrixSelector, Span, Subquery, VectorSelector};
use crate::token::{Fact, Keyword, Token, TokenKind};
use longhaul_model::{METRIC_NAME, Matcher};

impl Parser<'_> {
    pub(super) fn vector(&mut self, name: Option<Token>) -> Result<Tree<Expr>, Stop> {
        let (selector, span) = self.selector(name)?;
        self.grow(ExprKind::Vector(selector), span, 0)
    }

    /// The selector whose name, if it has one, has been read.
    pub(super) fn selector(&mut self, name: Option<Token>) -> Result<(VectorSelector, Span), Stop> {
        let start = name.unwrap_or_else(|| self.next()).span.start;
        let name = name.map(|name| name.text(self.text).to_owned());
        let mut matchers = Vec::new();
        if self.peek() == TokenKind::LeftBrace {
            matchers = self.matchers()?;
        }
        matchers.extend(name.as_ref().map(|name| Matcher::equal(METRIC_NAME, name)));
        let selector = VectorSelector { name, matchers, offset_ms: 0, offset_expr: None, at: None, extended: None };
        Ok((selector, Span { start, end: self.last_end }))
    }

    /// The expression with all modifiers that follow it.
    pub(super) fn modified(&mut self, mut tree: Tree<Expr>) -> Result<Tree<Expr>, Stop> {
        loop {
            match self.peek() {
                TokenKind::LeftBracket => tree = self.range(tree)?,
                TokenKind::Keyword(Keyword::Offset) => self.offset(&mut tree.node)?,
                TokenKind::At => self.at(&mut tree.node)?,
                TokenKind::Keyword(Keyword::Anchored) => self.extended(&mut tree.node, Extended::Anchored)?,
                TokenKind::Keyword(Keyword::Smoothed) => self.extended(&mut tree.node, Extended::Smoothed)?,
                _ => return Ok(tree),
            }
        }
    }

    /// `[5m]` or `[5m:1m]`
    fn range(&mut self, tree: Tree<Expr>) -> Result<Tree<Expr>, Stop> {
        let open = self.advance();
        let range = self.positive_duration(Asked::RANGE)?;
        if self.accept(TokenKind::Colon).is_some() {
            return self.subquery(tree, range);
        }
        let Some(close) = self.accept(TokenKind::RightBracket) else {
            return self.unexpected("subquery or range", "\":\" or \"]\"");
        };
        let brackets = open.span.to(close.span);
        let Expr { kind: ExprKind::Vector(selector), span } = tree.node else {
            return self.fail(brackets, "ranges only allowed for vector selectors");
        };
        if selector.offset_ms != 0 || selector.offset_expr.is_some() {
            return self.fail(brackets, "no offset modifiers allowed before range");
        }
        if selector.at.is_some() {
            return self.fail(brackets, "no @ modifiers allowed before range");
        }
        let Amount { milliseconds: range_ms, expr: range_expr } = range;
        let matrix = MatrixSelector { selector, selector_span: span, range_ms, range_expr };
        self.grow(ExprKind::Matrix(matrix), span.to(close.span), 0)
    }

    /// The part of `[5m:1m]` after the colon.
    fn subquery(&mut self, tree: Tree<Expr>, range: Amount) -> Result<Tree<Expr>, Stop> {
        let step = match self.peek() {
            TokenKind::RightBracket => Amount { milliseconds: 0, expr: None },
            _ => self.positive_duration(Asked::STEP)?,
        };
        let Some(close) = self.accept(TokenKind::RightBracket) else {
            return self.unexpected("subquery selector", "\"]\"");
        };
        let span = tree.node.span.to(close.span);
        let subquery = Subquery {
            expr: tree.node,
            range_ms: range.milliseconds,
            range_expr: range.expr,
            // Less than a millisecond is no step: the default one.
            step_ms: Some(step.milliseconds).filter(|&step_ms| step_ms > 0),
            step_expr: step.expr,
            offset_ms: 0,
            offset_expr: None,
            at: None,
        };
        self.grow(ExprKind::Subquery(Box::new(subquery)), span, tree.height)
    }

    fn offset(&mut self, expr: &mut Expr) -> Result<(), Stop> {
        self.advance();
        let amount = self.offset_duration()?;
        let (offset_ms, offset_expr) = match &mut expr.kind {
            ExprKind::Vector(vector) => (&mut vector.offset_ms, &mut vector.offset_expr),
            ExprKind::Matrix(matrix) => (&mut matrix.selector.offset_ms, &mut matrix.selector.offset_expr),
            ExprKind::Subquery(subquery) => (&mut subquery.offset_ms, &mut subquery.offset_expr),
            _ => {
                let allowed = "an instant vector selector or range vector selector or a subquery";
                return self.fail(expr.span, format!("offset modifier must be preceded by {allowed}"));
            }
        };
        if *offset_ms != 0 || offset_expr.is_some() {
            return self.fail(expr.span, "offset may not be set multiple times");
        }
        (*offset_ms, *offset_expr) = (amount.milliseconds, amount.expr);
        expr.span.end = self.last_end;
        Ok(())
    }

    fn at(&mut self, expr: &mut Expr) -> Result<(), Stop> {
        let asked = Asked { context: "@", expected: "timestamp" };
        self.advance();
        let at = match self.peek() {
            TokenKind::Fact(fact @ (Fact::Start | Fact::End)) => {
                self.advance();
                self.empty_parens(asked)?;
                if fact == Fact::Start { At::Start } else { At::End }
            }
            _ => At::Time(self.timestamp(expr.span)?),
        };
        let place = match &mut expr.kind {
            ExprKind::Vector(vector) => &mut vector.at,
            ExprKind::Matrix(matrix) => &mut matrix.selector.at,
            ExprKind::Subquery(subquery) => &mut subquery.at,
            _ => {
                let allowed = "an instant vector selector or range vector selector or a subquery";
                return self.fail(expr.span, format!("@ modifier must be preceded by {allowed}"));
            }
        };
        if place.is_some() {
            return self.fail(expr.span, "@ <timestamp> may not be set multiple times");
        }
        *place = Some(at);
        expr.span.end = self.last_end;
        Ok(())
    }

    /// The time after `@`, ms; `span` is what an error is about.
    fn timestamp(&mut self, span: Span) -> Result<i64, Stop> {
        let seconds = self.signed_number("@", "timestamp")?;
        // Out of the range of 64 bits, or NaN.
        if !(seconds > i64::MIN as f64 && seconds < i64::MAX as f64) {
            let shown = match seconds {
                f64::INFINITY => "+Inf".to_owned(),
                f64::NEG_INFINITY => "-Inf".to_owned(),
                _ if seconds.is_nan() => "NaN".to_owned(),
                _ => format!("{seconds:.6}"),
            };
            return self.fail(span, format!("timestamp out of bounds for @ modifier: {shown}"));
        }
        Ok((seconds * 1000.0).round() as i64)
    }

    fn extended(&mut self, expr: &mut Expr, extended: Extended) -> Result<(), Stop> {
        let word = self.advance();
        let modifier = match extended {
            Extended::Anchored => "anchored",
            Extended::Smoothed => "smoothed",
        };
        if !self.options.extended_range_selectors {
            return self.fail(expr.span, format!("{modifier} modifier is experimental and not enabled"));
        }
        let selector = match &mut expr.kind {
            ExprKind::Vector(vector) => vector,
            ExprKind::Matrix(matrix) => &mut matrix.selector,
            ExprKind::Subquery(_) => {
                return self.fail(expr.span, format!("{modifier} modifier is not supported for subqueries"));
            }
            _ => return self.fail(expr.span, format!("{modifier} modifier not implemented")),
        };
        if selector.extended.is_some_and(|other| other != extended) {
            return self.fail(expr.span, "anchored and smoothed modifiers cannot be used together");
        }
        selector.extended = Some(extended);
        expr.span.end = word.span.end;
        Ok(())
    }

    /// `()`
    pub(super) fn empty_parens(&mut self, asked: Asked) -> Result<Token, Stop> {
        let close = self.accept(TokenKind::LeftParen).and_then(|_| self.accept(TokenKind::RightParen));
        match close {
            Some(close) => Ok(close),
            None => self.unexpected(asked.context, asked.expected),
        }
    }
}
