//! Lists of labels and of matchers.

use super::{Parser, Stop};
use crate::ast::BinaryOp;
use crate::literal;
use crate::token::{Token, TokenKind};
use longhaul_model::{METRIC_NAME, MatchOp, Matcher};

/// What error texts call the place.
const GROUPING: &str = "grouping opts";
const MATCHING: &str = "label matching";

impl Parser<'_> {
    /// `(a, "b.c", )` of `by`, `on` and their like.
    pub(super) fn label_list(&mut self) -> Result<Vec<String>, Stop> {
        if self.accept(TokenKind::LeftParen).is_none() {
            return self.unexpected(GROUPING, "\"(\"");
        }
        let mut labels = Vec::new();
        while self.accept(TokenKind::RightParen).is_none() {
            labels.push(self.grouping_label()?);
            if self.accept(TokenKind::Comma).is_none() && self.peek() != TokenKind::RightParen {
                return self.unexpected(GROUPING, "\",\" or \")\"");
            }
        }
        Ok(labels)
    }

    fn grouping_label(&mut self) -> Result<String, Stop> {
        match self.peek() {
            TokenKind::String => {
                let token = self.advance();
                let label = literal::unquote(token.text(self.text));
                // Bytes that are no text have become replacement characters.
                if label.is_empty() || label.contains(char::REPLACEMENT_CHARACTER) {
                    let quoted = literal::quote(&label);
                    return self.fail(token.span, format!("invalid label name for grouping: {quoted}"));
                }
                Ok(label)
            }
            kind if kind.is_label_name() => Ok(self.advance().text(self.text).to_owned()),
            _ => self.unexpected(GROUPING, "label"),
        }
    }

    /// `{a="b", "c.d"!~"e", "name", }`
    pub(super) fn matchers(&mut self) -> Result<Vec<Matcher>, Stop> {
        self.advance();
        let mut matchers = Vec::new();
        while self.accept(TokenKind::RightBrace).is_none() {
            matchers.push(self.matcher()?);
            if self.accept(TokenKind::Comma).is_none() && self.peek() != TokenKind::RightBrace {
                return self.unexpected(MATCHING, "\",\" or \"}\"");
            }
        }
        Ok(matchers)
    }

    fn matcher(&mut self) -> Result<Matcher, Stop> {
        let quoted = match self.peek() {
            TokenKind::Identifier => false,
            TokenKind::String => true,
            _ => return self.unexpected(MATCHING, "identifier or \"}\""),
        };
        let label = self.advance();
        let name = label.text(self.text);
        let name = if quoted { literal::unquote(name) } else { name.to_owned() };
        let op = match self.peek() {
            TokenKind::Assign => MatchOp::Equal,
            TokenKind::Operator(BinaryOp::NotEq) => MatchOp::NotEqual,
            TokenKind::Matches => MatchOp::Regex,
            TokenKind::MatchesNot => MatchOp::NotRegex,
            _ if quoted => return Ok(Matcher::equal(METRIC_NAME, name)),
            _ => return self.unexpected(MATCHING, "label matching operator"),
        };
        self.advance();
        let Token { kind: TokenKind::String, span } = self.next() else {
            return self.unexpected(MATCHING, "string");
        };
        let value = literal::unquote(self.advance().text(self.text));
        match Matcher::new(name, op, value) {
            Ok(matcher) => Ok(matcher),
            Err(error) => self.fail(label.span.to(span), error.to_string()),
        }
    }
}
