//! Text to a syntax tree: a precedence climbing parser over the lexer's tokens, in one pass and linear time.
//!
//! Both the parser's own recursion and the height of what it builds are bounded by
//! [`ParseOptions::depth_max`](crate::ParseOptions::depth_max), so that every walk over a tree, dropping it included, may
//! recurse.

mod duration;
mod labels;
mod selector;

use crate::ParseOptions;
use crate::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Call, Cardinality, Expr, ExprKind, Span, UnaryOp, VectorMatching,
};
use crate::check;
use crate::error::{ParseError, ParseErrors, Position};
use crate::functions;
use crate::lexer::Lexer;
use crate::literal::{self, Text};
use crate::token::{Fact, Keyword, Token, TokenKind};
use longhaul_model::Matcher;

/// Reads a query.
///
/// # Errors
///
/// What is wrong with the text: the first error of syntax, or all errors of types.
pub fn parse(query: &str, options: &ParseOptions) -> Result<Expr, ParseErrors> {
    let mut parser = Parser::new(query, options);
    let mut errors = Vec::new();
    match parser.query() {
        Ok(mut expr) => {
            check::check(&mut expr, &mut |span, message| {
                if errors.len() < ERRORS_MAX {
                    errors.push(error(query, span, message));
                }
            });
            if errors.is_empty() {
                return Ok(expr);
            }
        }
        Err(Stop) => errors = parser.errors,
    }
    Err(ParseErrors::new(errors))
}

/// Reads a lone selector, `name{matchers}`, as `match[]` parameters hold them: its matchers, that for the name last. They
/// may select everything; whether that is allowed is for the caller to say.
///
/// # Errors
///
/// What is wrong with the text.
pub fn parse_selector(selector: &str, options: &ParseOptions) -> Result<Vec<Matcher>, ParseErrors> {
    let mut parser = Parser::new(selector, options);
    parser.lone_selector().map_err(|Stop| ParseErrors::new(parser.errors))
}

/// How many errors are kept. People look at the first; each costs a walk over the text for its line and column.
const ERRORS_MAX: usize = 32;

/// The parser cannot go on; why is among its errors.
struct Stop;

/// A part of the tree with its height.
struct Tree<T> {
    node: T,
    height: usize,
}

struct Parser<'a> {
    text: &'a str,
    options: &'a ParseOptions,
    lexer: Lexer<'a>,
    /// The token to look at, if it has been read. None is read before it is needed: what is wrong with it comes after
    /// what is wrong with all before it.
    token: Option<Token>,
    /// Where the last token that was taken ended.
    last_end: u32,
    /// How deep the parser's recursion is.
    depth: usize,
    /// How many aggregations are open: error texts mention them.
    aggregations: usize,
    errors: Vec<ParseError>,
}

/// Binding powers, loosest first. `^` binds to the right, all others to the left.
mod binding {
    pub(super) const LOOSEST: u8 = 1;
    pub(super) const POWER: u8 = 6;
}

fn error(text: &str, span: Span, message: String) -> ParseError {
    ParseError { span, position: Position::of(text, span.start), message }
}

/// How tightly an operator binds.
fn binding(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => binding::LOOSEST,
        BinaryOp::And | BinaryOp::Unless => 2,
        BinaryOp::Eq | BinaryOp::NotEq | BinaryOp::Less | BinaryOp::LessEq => 3,
        BinaryOp::Greater | BinaryOp::GreaterEq | BinaryOp::TrimUpper | BinaryOp::TrimLower => 3,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => 5,
        BinaryOp::Pow => binding::POWER,
    }
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, options: &'a ParseOptions) -> Self {
        let lexer = Lexer::new(text);
        Self { text, options, lexer, token: None, last_end: 0, depth: 0, aggregations: 0, errors: Vec::new() }
    }

    fn begin(&mut self) -> Result<(), Stop> {
        let (size, max) = (self.text.len(), self.options.length_max_bytes.min(u32::MAX as usize));
        if size > max {
            let message = format!("the expression has {size} bytes, more than the {max} that are allowed");
            return self.fail(Span::default(), message);
        }
        Ok(())
    }

    fn query(&mut self) -> Result<Expr, Stop> {
        self.begin()?;
        if self.peek() == TokenKind::End {
            return self.fail(Span::default(), "no expression found in input");
        }
        let tree = self.expression(binding::LOOSEST)?;
        self.end(tree.node)
    }

    fn lone_selector(&mut self) -> Result<Vec<Matcher>, Stop> {
        self.begin()?;
        let selector = match self.peek() {
            TokenKind::LeftBrace => self.selector(None)?,
            kind if kind.is_metric_name() => {
                let name = self.advance();
                self.selector(Some(name))?
            }
            _ => return self.unexpected("", ""),
        };
        self.end(selector.0.matchers)
    }

    fn end<T>(&mut self, result: T) -> Result<T, Stop> {
        if self.peek() == TokenKind::End { Ok(result) } else { self.unexpected("", "") }
    }

    /// An operand and all operators after it that bind at least as tightly as `binding_min`.
    fn expression(&mut self, binding_min: u8) -> Result<Tree<Expr>, Stop> {
        self.descend()?;
        let mut lhs = self.operand()?;
        while let TokenKind::Operator(op) = self.peek() {
            let tightness = binding(op);
            if tightness < binding_min {
                break;
            }
            let start = self.advance().span.start;
            let (return_bool, matching) = self.matching()?;
            let op_span = Span { start, end: self.last_end };
            let rhs = self.expression(if op == BinaryOp::Pow { tightness } else { tightness + 1 })?;
            let span = lhs.node.span.to(rhs.node.span);
            let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
            if filled && !self.options.fill_modifiers {
                return self.fail(span, "binop fill modifiers are experimental and not enabled");
            }
            let height = lhs.height.max(rhs.height);
            let binary = Binary { op, op_span, lhs: lhs.node, rhs: rhs.node, return_bool, matching: Some(matching) };
            lhs = self.grow(ExprKind::Binary(Box::new(binary)), span, height)?;
        }
        self.depth -= 1;
        Ok(lhs)
    }

    /// What stands between operators: signs, a primary expression and the modifiers after it.
    fn operand(&mut self) -> Result<Tree<Expr>, Stop> {
        let Some(op) = self.peek().sign() else {
            let primary = self.primary()?;
            return self.modified(primary);
        };
        let sign = self.advance();
        let mut operand = self.expression(binding::POWER)?;
        let span = sign.span.to(operand.node.span);
        match &mut operand.node.kind {
            ExprKind::Number(value) | ExprKind::Duration(value) => {
                if op == UnaryOp::Minus {
                    *value = -*value;
                }
                operand.node.span = span;
                Ok(operand)
            }
            _ => self.grow(ExprKind::Unary(op, Box::new(operand.node)), span, operand.height),
        }
    }

    fn primary(&mut self) -> Result<Tree<Expr>, Stop> {
        match self.peek() {
            TokenKind::Number | TokenKind::Duration => {
                let span = self.next().span;
                let (value, is_duration) = self.number_or_duration()?;
                let kind = if is_duration { ExprKind::Duration(value) } else { ExprKind::Number(value) };
                self.grow(kind, span, 0)
            }
            TokenKind::String => {
                let token = self.advance();
                self.grow(ExprKind::String(Text::unquoted(token.text(self.text))), token.span, 0)
            }
            TokenKind::LeftParen => self.paren(),
            TokenKind::LeftBrace => self.vector(None),
            TokenKind::Identifier | TokenKind::Fact(_) => {
                let name = self.advance();
                if self.peek() == TokenKind::LeftParen { self.call(name) } else { self.vector(Some(name)) }
            }
            TokenKind::Aggregator(op) => {
                let name = self.advance();
                match self.peek() {
                    TokenKind::LeftParen | TokenKind::Keyword(Keyword::By | Keyword::Without) => {
                        self.aggregate(op, name)
                    }
                    _ => self.vector(Some(name)),
                }
            }
            kind if kind.is_metric_name() => {
                let name = self.advance();
                self.vector(Some(name))
            }
            _ => self.unexpected("", ""),
        }
    }

    fn paren(&mut self) -> Result<Tree<Expr>, Stop> {
        let open = self.advance();
        let inner = self.expression(binding::LOOSEST)?;
        let close = self.expect(TokenKind::RightParen)?;
        self.grow(ExprKind::Paren(Box::new(inner.node)), open.span.to(close.span), inner.height)
    }

    fn call(&mut self, name: Token) -> Result<Tree<Expr>, Stop> {
        let (args, height, close) = self.arguments()?;
        let text = name.text(self.text);
        let Some(function) = functions::find(text) else {
            return self.fail(name.span, format!("unknown function with name {}", literal::quote(text)));
        };
        if function.experimental && !self.options.experimental_functions {
            return self.fail(name.span, format!("function {} is not enabled", literal::quote(text)));
        }
        self.grow(ExprKind::Call(Call { function, args }), name.span.to(close.span), height)
    }

    fn aggregate(&mut self, op: AggregateOp, name: Token) -> Result<Tree<Expr>, Stop> {
        self.aggregations += 1;
        let before = self.grouping()?;
        if self.peek() != TokenKind::LeftParen {
            return self.unexpected("", "");
        }
        let (mut args, height, _) = self.arguments()?;
        self.aggregations -= 1;
        let (grouping, without) = match before {
            Some(grouping) => grouping,
            None => self.grouping()?.unwrap_or_default(),
        };
        let span = Span { start: name.span.start, end: self.last_end };
        let wanted = if op.param_type().is_some() { 2 } else { 1 };
        if args.is_empty() {
            return self.fail(span, "no arguments for aggregate expression provided");
        }
        if op.is_experimental() && !self.options.experimental_functions {
            return self.fail(
                span,
                format!(
                    "{op}() is experimental and must be enabled with --enable-feature=promql-experimental-functions"
                ),
            );
        }
        match args.pop() {
            Some(expr) if args.len() + 1 == wanted => {
                let aggregate = Aggregate { op, expr, param: args.pop(), grouping, without };
                self.grow(ExprKind::Aggregate(Box::new(aggregate)), span, height)
            }
            _ => {
                let got = args.len() + 1;
                let message = "wrong number of arguments for aggregate expression provided";
                self.fail(span, format!("{message}, expected {wanted}, got {got}"))
            }
        }
    }

    /// `by (labels)` or `without (labels)`, if there is one: the labels, and whether it was `without`.
    fn grouping(&mut self) -> Result<Option<(Vec<String>, bool)>, Stop> {
        let without = match self.peek() {
            TokenKind::Keyword(Keyword::By) => false,
            TokenKind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some((self.label_list()?, without)))
    }

    /// `(a, b, c)`: the arguments, the greatest of their heights, and the closing parenthesis.
    fn arguments(&mut self) -> Result<(Vec<Expr>, usize, Token), Stop> {
        self.advance();
        let (mut args, mut height) = (Vec::new(), 0);
        if self.peek() != TokenKind::RightParen {
            loop {
                let arg = self.expression(binding::LOOSEST)?;
                height = height.max(arg.height);
                args.push(arg.node);
                if self.peek() != TokenKind::Comma {
                    break;
                }
                let comma = self.advance();
                if !self.peek().begins_expression() {
                    return self.fail(comma.span, "trailing commas not allowed in function call args");
                }
            }
        }
        let close = self.expect(TokenKind::RightParen)?;
        Ok((args, height, close))
    }

    /// `bool on(labels) group_left(labels) fill(0)`, all of it optional: whether there was `bool`, and the matching.
    fn matching(&mut self) -> Result<(bool, VectorMatching), Stop> {
        let mut matching = VectorMatching {
            cardinality: Cardinality::OneToOne,
            labels: Vec::new(),
            on: false,
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        let return_bool = self.accept(TokenKind::Keyword(Keyword::Bool)).is_some();
        if let TokenKind::Keyword(keyword @ (Keyword::On | Keyword::Ignoring)) = self.peek() {
            self.advance();
            matching.on = keyword == Keyword::On;
            matching.labels = self.label_list()?;
            if let TokenKind::Keyword(keyword @ (Keyword::GroupLeft | Keyword::GroupRight)) = self.peek() {
                self.advance();
                let many_left = keyword == Keyword::GroupLeft;
                matching.cardinality = if many_left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                // The labels may be missing, if what follows can be the right side.
                if self.peek() == TokenKind::LeftParen || !self.peek().begins_expression() {
                    matching.include = self.label_list()?;
                }
            }
        }
        if self.accept(TokenKind::Keyword(Keyword::Fill)).is_some() {
            let value = Some(self.fill_value()?);
            (matching.fill_left, matching.fill_right) = (value, value);
        } else if self.accept(TokenKind::Keyword(Keyword::FillLeft)).is_some() {
            matching.fill_left = Some(self.fill_value()?);
            if self.accept(TokenKind::Keyword(Keyword::FillRight)).is_some() {
                matching.fill_right = Some(self.fill_value()?);
            }
        } else if self.accept(TokenKind::Keyword(Keyword::FillRight)).is_some() {
            matching.fill_right = Some(self.fill_value()?);
            if self.accept(TokenKind::Keyword(Keyword::FillLeft)).is_some() {
                matching.fill_left = Some(self.fill_value()?);
            }
        }
        Ok((return_bool, matching))
    }

    /// `(5)`, `(-Inf)`
    fn fill_value(&mut self) -> Result<f64, Stop> {
        self.expect(TokenKind::LeftParen)?;
        let value = self.signed_number("", "")?;
        self.expect(TokenKind::RightParen)?;
        Ok(value)
    }

    /// A number or a duration with or without a sign.
    fn signed_number(&mut self, context: &str, expected: &str) -> Result<f64, Stop> {
        let sign = self.peek().sign();
        if sign.is_some() {
            self.advance();
        }
        if !matches!(self.peek(), TokenKind::Number | TokenKind::Duration) {
            return self.unexpected(context, expected);
        }
        let (value, _) = self.number_or_duration()?;
        Ok(if sign == Some(UnaryOp::Minus) { -value } else { value })
    }

    /// The value of the token, which is a number or a duration (then: seconds, true).
    fn number_or_duration(&mut self) -> Result<(f64, bool), Stop> {
        let token = self.advance();
        let is_duration = token.kind == TokenKind::Duration;
        let text = token.text(self.text);
        let value = if is_duration { literal::duration(text) } else { literal::number(text) };
        match value {
            Ok(value) => Ok((value, is_duration)),
            Err(message) => self.fail(token.span, message),
        }
    }

    /// The next token. What the lexer refuses becomes [`TokenKind::Error`], and stays.
    fn next(&mut self) -> Token {
        if let Some(token) = self.token {
            return token;
        }
        let token = self.lexer.next().unwrap_or_else(|fault| {
            self.errors.push(error(self.text, fault.span, fault.message));
            Token { kind: TokenKind::Error, span: fault.span }
        });
        *self.token.insert(token)
    }

    fn peek(&mut self) -> TokenKind {
        self.next().kind
    }

    /// Takes the next token.
    fn advance(&mut self) -> Token {
        let token = self.next();
        self.last_end = token.span.end;
        self.token = None;
        token
    }

    fn accept(&mut self, kind: TokenKind) -> Option<Token> {
        (self.peek() == kind).then(|| self.advance())
    }

    fn expect(&mut self, kind: TokenKind) -> Result<Token, Stop> {
        match self.accept(kind) {
            Some(token) => Ok(token),
            None => self.unexpected("", ""),
        }
    }

    /// Goes one level deeper; whoever succeeds goes back up himself.
    fn descend(&mut self) -> Result<(), Stop> {
        self.depth += 1;
        let span = self.next().span;
        self.bound(self.depth, span)
    }

    /// A node over parts of at most `height`.
    fn grow(&mut self, kind: ExprKind, span: Span, height: usize) -> Result<Tree<Expr>, Stop> {
        self.bound(height + 1, span)?;
        Ok(Tree { node: Expr { kind, span }, height: height + 1 })
    }

    fn bound(&mut self, depth: usize, span: Span) -> Result<(), Stop> {
        let max = self.options.depth_max;
        if depth > max {
            return self.fail(span, format!("the expression is nested more than {max} levels deep"));
        }
        Ok(())
    }

    /// Refuses the token. Without a context of its own the text names an enclosing aggregation.
    fn unexpected<T>(&mut self, context: &str, expected: &str) -> Result<T, Stop> {
        let token = self.next();
        if token.kind == TokenKind::Error {
            return Err(Stop);
        }
        let mut message = format!("unexpected {}", token.describe(self.text));
        let context = if context.is_empty() && self.aggregations > 0 { "aggregation" } else { context };
        for (link, part) in [(" in ", context), (", expected ", expected)] {
            if !part.is_empty() {
                message.push_str(link);
                message.push_str(part);
            }
        }
        self.fail(token.span, message)
    }

    fn fail<T>(&mut self, span: Span, message: impl Into<String>) -> Result<T, Stop> {
        self.errors.push(error(self.text, span, message.into()));
        Err(Stop)
    }
}

/// Whether the token is `step`, `range`, `min_of` or `max_of`, the words of duration expressions.
fn duration_fact(kind: TokenKind) -> Option<Fact> {
    match kind {
        TokenKind::Fact(fact @ (Fact::Step | Fact::Range | Fact::MinOf | Fact::MaxOf)) => Some(fact),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
