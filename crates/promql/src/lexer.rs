//! Text to tokens. What a character means depends on the brackets around it: inside braces every word is a label, inside
//! square brackets only durations may stand.
//!
//! One pass, no recursion, nothing is read twice but strings.

use crate::ast::{BinaryOp, Span};
use crate::literal::{name_char, quote, quote_char};
use crate::token::{Fact, Keyword, Token, TokenKind};

/// The tokens of a text, on demand.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    /// Where the next character is read.
    at: usize,
    /// Where the token began that is being read.
    start: usize,
    place: Place,
    /// How many parentheses are open.
    parens: usize,
    /// Whether there was a number in any square brackets up to here.
    number_seen: bool,
    /// Whether a parenthesis was closed in these square brackets.
    closed_seen: bool,
    /// Whether there was a colon in these square brackets.
    colon_seen: bool,
}

/// What stands for bytes that are no UTF-8 has no place in a string: to Prometheus it is such bytes.
const NOT_UTF8: &str = "invalid UTF-8 rune";

/// What stands around the next token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Expression,
    Braces,
    /// Square brackets before the first number.
    DurationStart,
    /// Square brackets after it.
    Duration,
}

/// Why there is no next token.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) span: Span,
    pub(crate) message: String,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            start: 0,
            place: Place::Expression,
            parens: 0,
            number_seen: false,
            closed_seen: false,
            colon_seen: false,
        }
    }

    /// The next token; after the end, the end again.
    pub(crate) fn next(&mut self) -> Result<Token, Fault> {
        self.skip_blanks();
        self.start = self.at;
        let Some(first) = self.take() else { return self.end() };
        match (self.place, first) {
            (Place::Braces, _) => self.in_braces(first),
            (_, '*') => self.operator(BinaryOp::Mul),
            (_, '/') => self.operator(BinaryOp::Div),
            (_, '%') => self.operator(BinaryOp::Mod),
            (_, '+') => self.operator(BinaryOp::Add),
            (_, '-') => self.operator(BinaryOp::Sub),
            (_, '^') => self.operator(BinaryOp::Pow),
            (_, ',') => self.token(TokenKind::Comma),
            (_, '(') => {
                self.parens += 1;
                self.token(TokenKind::LeftParen)
            }
            (_, ')') => {
                let Some(parens) = self.parens.checked_sub(1) else {
                    self.start = self.at;
                    return self.fault(format!("unexpected right parenthesis {}", quote_char(')')));
                };
                self.parens = parens;
                self.closed_seen = true;
                self.token(TokenKind::RightParen)
            }
            (Place::DurationStart | Place::Duration, ']') => {
                self.place = Place::Expression;
                self.token(TokenKind::RightBracket)
            }
            (_, '0'..='9') => self.number_or_duration(),
            (_, '.') if self.peek().is_some_and(|c| c.is_ascii_digit()) => self.number_or_duration(),
            (Place::DurationStart, _) => self.in_duration(first),
            (Place::Duration, ':' | '_' | 'a'..='z' | 'A'..='Z') => self.after_duration(first),
            _ => self.in_expression(first),
        }
    }

    fn end(&self) -> Result<Token, Fault> {
        match self.place {
            Place::Braces => self.fault("unexpected end of input inside braces"),
            Place::DurationStart => self.fault("unexpected end of input in duration expression"),
            _ if self.parens > 0 => self.fault("unclosed left parenthesis"),
            Place::Duration => self.fault("unclosed left bracket"),
            Place::Expression => self.token(TokenKind::End),
        }
    }

    fn in_expression(&mut self, first: char) -> Result<Token, Fault> {
        match first {
            '=' => match self.peek() {
                Some('=') => self.operator_of_two(BinaryOp::Eq),
                Some('~') => self.fault("unexpected character after '=': '~'"),
                _ => self.token(TokenKind::Assign),
            },
            '!' => match self.peek() {
                Some('=') => self.operator_of_two(BinaryOp::NotEq),
                other => self.fault(format!("unexpected character after '!': {}", quote_next(other))),
            },
            '<' => match self.peek() {
                Some('=') => self.operator_of_two(BinaryOp::LessEq),
                Some('/') => self.operator_of_two(BinaryOp::TrimUpper),
                _ => self.operator(BinaryOp::Less),
            },
            '>' => match self.peek() {
                Some('=') => self.operator_of_two(BinaryOp::GreaterEq),
                Some('/') => self.operator_of_two(BinaryOp::TrimLower),
                _ => self.operator(BinaryOp::Greater),
            },
            '"' | '\'' => self.string(first),
            '`' => self.raw_string(),
            ':' | '_' | 'a'..='z' | 'A'..='Z' => self.word(),
            '{' => {
                self.place = Place::Braces;
                self.token(TokenKind::LeftBrace)
            }
            '[' if self.place == Place::Duration => self.fault("unexpected left bracket '['"),
            '[' => {
                self.place = Place::DurationStart;
                (self.closed_seen, self.colon_seen) = (false, false);
                self.token(TokenKind::LeftBracket)
            }
            ']' => self.fault("unexpected right bracket ']'"),
            '@' => self.token(TokenKind::At),
            _ => self.fault(format!("unexpected character: {}", quote_char(first))),
        }
    }

    fn in_braces(&mut self, first: char) -> Result<Token, Fault> {
        match first {
            '_' | 'a'..='z' | 'A'..='Z' => {
                self.take_while(is_alphanumeric);
                self.token(TokenKind::Identifier)
            }
            ',' => self.token(TokenKind::Comma),
            '"' | '\'' => self.string(first),
            '`' => self.raw_string(),
            '=' if self.accept('~') => self.token(TokenKind::Matches),
            '=' => self.token(TokenKind::Assign),
            '!' => match self.peek() {
                Some('~') => {
                    self.take();
                    self.token(TokenKind::MatchesNot)
                }
                Some('=') => self.operator_of_two(BinaryOp::NotEq),
                other => self.fault(format!("unexpected character after '!' inside braces: {}", quote_next(other))),
            },
            '{' => self.fault("unexpected left brace '{'"),
            '}' => {
                self.place = Place::Expression;
                self.token(TokenKind::RightBrace)
            }
            _ => self.fault(format!("unexpected character inside braces: {}", quote_char(first))),
        }
    }

    /// What is special before the first number in square brackets.
    fn in_duration(&mut self, first: char) -> Result<Token, Fault> {
        match first {
            // Prometheus' lexer has never seen a duration before a number: it refuses `[step():1m]` too, unless there was
            // a number in earlier brackets.
            ':' if !self.number_seen && !self.closed_seen => {
                self.start = self.at;
                self.fault("unexpected colon before duration in duration expression")
            }
            ':' if self.colon_seen => {
                self.start = self.at;
                self.fault("unexpected repeated colon in duration expression")
            }
            ':' => {
                self.colon_seen = true;
                self.token(TokenKind::Colon)
            }
            _ => match self.duration_word(first) {
                Some(kind) => self.token(kind),
                None => self.fault(format!("unexpected character in duration expression: {}", quote_char(first))),
            },
        }
    }

    /// Words and colons after the first number in square brackets.
    fn after_duration(&mut self, first: char) -> Result<Token, Fault> {
        match first {
            ':' if self.colon_seen => self.fault("unexpected colon ':'"),
            ':' => {
                self.colon_seen = true;
                self.token(TokenKind::Colon)
            }
            _ => match self.duration_word(first) {
                Some(kind) => self.token(kind),
                None => self.fault(format!("unexpected character: {}, expected ':'", quote_char(first))),
            },
        }
    }

    /// `step`, `range`, `min_of` or `max_of`.
    fn duration_word(&mut self, first: char) -> Option<TokenKind> {
        if !is_alpha(first) {
            return None;
        }
        self.take_while(is_alpha);
        let kind = TokenKind::of_word(&self.text[self.start..self.at])?;
        matches!(kind, TokenKind::Fact(Fact::Step | Fact::Range | Fact::MinOf | Fact::MaxOf)).then_some(kind)
    }

    fn word(&mut self) -> Result<Token, Fault> {
        self.take_while(|c| is_alphanumeric(c) || c == ':');
        let word = &self.text[self.start..self.at];
        let kind = match TokenKind::of_word(word) {
            // Metrics have been called `fill` for longer than the keyword exists.
            Some(TokenKind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.text[self.at..].trim_start_matches(is_space).starts_with('(') =>
            {
                TokenKind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => TokenKind::MetricIdentifier,
            None => TokenKind::Identifier,
        };
        self.token(kind)
    }

    fn number_or_duration(&mut self) -> Result<Token, Fault> {
        if self.place == Place::DurationStart {
            self.place = Place::Duration;
            self.number_seen = true;
        }
        self.at = self.start;
        if self.scan_number() {
            return self.token(TokenKind::Number);
        }
        if self.scan_units() {
            return self.token(TokenKind::Duration);
        }
        self.fault(format!("bad number or duration syntax: {}", quote(&self.text[self.start..self.at])))
    }

    /// Reads what may be a number; what exactly it is worth is [`crate::literal::number`]'s business. False if it is none
    /// or if it goes on as something else. What passes is what passes in Prometheus: `0.5.5` does, and is refused later;
    /// in a hexadecimal number `e` may open an exponent, so that `0xee` ends too early.
    fn scan_number(&mut self) -> bool {
        let hexadecimal = self.accept('0') && self.accept_any("xX");
        if hexadecimal {
            self.accept('_');
        }
        let is_digit = |c: char| if hexadecimal { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
        self.accept('.');
        if self.peek().is_some_and(is_digit) {
            self.take();
        }
        let (mut dot_seen, mut exponent_seen) = (false, false);
        while let Some(next) = self.peek() {
            match next {
                '.' => {
                    self.take();
                    if dot_seen || self.accept_any("_.") || hexadecimal {
                        return false;
                    }
                    dot_seen = true;
                }
                'e' | 'E' => {
                    self.take();
                    if exponent_seen {
                        return false;
                    }
                    exponent_seen = true;
                    self.accept_any("+-");
                    if self.accept_any("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                '_' => {
                    self.take();
                    if self.accept_any("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                _ if is_digit(next) => self.take_while(is_digit),
                _ => break,
            }
        }
        !self.peek().is_some_and(is_alphanumeric)
    }

    /// Reads the rest of a duration from its first unit on. Which units may follow which is
    /// [`crate::literal::duration`]'s business.
    fn scan_units(&mut self) -> bool {
        if !self.accept_any("smhdwy") {
            return false;
        }
        self.accept('s');
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.take_while(|c| c.is_ascii_digit());
            if !self.accept_any("smhdw") {
                return false;
            }
            self.accept('s');
        }
        if self.peek().is_some_and(is_alphanumeric) {
            // The error text shows the letter that is too much.
            self.take();
            return false;
        }
        true
    }

    fn string(&mut self, delimiter: char) -> Result<Token, Fault> {
        loop {
            match self.take() {
                None | Some('\n') => return self.fault("unterminated quoted string"),
                Some(char::REPLACEMENT_CHARACTER) => return self.fault(NOT_UTF8),
                Some('\\') => self.escape(delimiter)?,
                Some(c) if c == delimiter => return self.token(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Result<Token, Fault> {
        self.take_while(|c| c != '`' && c != char::REPLACEMENT_CHARACTER);
        match self.take() {
            None => self.fault("unterminated raw string"),
            Some('`') => self.token(TokenKind::String),
            Some(_) => self.fault(NOT_UTF8),
        }
    }

    /// Checks an escape sequence whose backslash has been read.
    fn escape(&mut self, delimiter: char) -> Result<(), Fault> {
        let (digits, radix, code_max) = match self.peek() {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => (0, 0, 0),
            Some(c) if c == delimiter => (0, 0, 0),
            Some('0'..='7') => (3, 8, 255),
            Some('x') => (2, 16, 255),
            Some('u') => (4, 16, char::MAX as u32),
            Some('U') => (8, 16, char::MAX as u32),
            Some(c) => return self.fault(format!("unknown escape sequence {}", name_char(c))),
            None => return self.fault("escape sequence not terminated"),
        };
        if digits == 0 || radix == 16 {
            self.take();
        }
        let mut code: u32 = 0;
        for _ in 0..digits {
            let Some(c) = self.take() else { return self.fault("escape sequence not terminated") };
            let Some(digit) = c.to_digit(radix) else {
                return self.fault(format!("illegal character {} in escape sequence", name_char(c)));
            };
            // Eight hexadecimal digits fit.
            code = code * radix + digit;
        }
        if code > code_max || (0xd800..0xe000).contains(&code) {
            return self.fault("escape sequence is an invalid Unicode code point");
        }
        Ok(())
    }

    /// Spaces and comments; a `#` among durations is an error of its own.
    fn skip_blanks(&mut self) {
        loop {
            self.take_while(is_space);
            if self.place == Place::DurationStart || !self.accept('#') {
                return;
            }
            self.take_while(|c| !matches!(c, '\r' | '\n'));
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = &self.text[self.at..];
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }

    fn accept(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn accept_any(&mut self, wanted: &str) -> bool {
        let found = self.peek().is_some_and(|c| wanted.contains(c));
        if found {
            self.take();
        }
        found
    }

    fn operator_of_two(&mut self, op: BinaryOp) -> Result<Token, Fault> {
        self.take();
        self.operator(op)
    }

    fn operator(&self, op: BinaryOp) -> Result<Token, Fault> {
        self.token(TokenKind::Operator(op))
    }

    fn token(&self, kind: TokenKind) -> Result<Token, Fault> {
        Ok(Token { kind, span: Span { start: self.start as u32, end: self.at as u32 } })
    }

    /// An error reaches to the end of the text: nothing after it has been looked at.
    fn fault<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        let span = Span { start: self.start as u32, end: self.text.len() as u32 };
        Err(Fault { span, message: message.into() })
    }
}

/// How an error text shows the character that is next; Go shows the end of the text as U+FFFD.
fn quote_next(next: Option<char>) -> String {
    quote_char(next.unwrap_or(char::REPLACEMENT_CHARACTER))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}
