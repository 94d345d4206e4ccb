//! Go's syntax of regular expressions (`regexp/syntax` with its Perl flags), read into the `Hir` of `regex-syntax`.
//!
//! A parser of its own, because the dialects differ in many small ways: classes are ASCII, braces that are no counts
//! and brackets in brackets are literal, repetitions do not stack, what is refused is refused in Go's words. Groups
//! wait on a stack, so nesting costs no recursion here; what comes after does recurse, hence the limit of height.

use super::{RegexError, class};
use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition};

/// Largest count in a repetition, and largest product of nested ones.
const REPEAT_MAX: u32 = 1000;

/// Highest tree. Go allows 1000; what compiles the tree here recurses, by some 5 KiB of stack a level in a debug build.
const HEIGHT_MAX: u32 = 100;

/// Most ranges in all classes of an expression: some 8 MB.
const CLASS_RANGES_MAX: usize = 1 << 20;

/// An expression that has been read.
pub(super) struct Parsed {
    /// What it means.
    pub hir: Hir,
    /// The names of the groups by index; the whole match, 0, has none.
    pub group_names: Vec<Option<Box<str>>>,
    /// How many `|` stand in it.
    pub bars: usize,
}

/// Whether groups become captures; where nobody asks for them they only hinder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Groups {
    Captured,
    Ignored,
}

/// Reads `expression` with the flag `s` set: a dot matches newlines too, as in Prometheus 3.
pub(super) fn parse(expression: &str, groups: Groups) -> Result<Parsed, RegexError> {
    let flags = Flags { fold_case: false, multi_line: false, dot_newline: true, swap_greed: false };
    let mut parser = Parser {
        whole: expression,
        at: 0,
        flags,
        open: vec![Group::new(flags, None)],
        group_names: vec![None],
        groups,
        class_ranges: 0,
        bars: 0,
        names_end: expression.rfind(":]").unwrap_or(0),
    };
    parser.run()
}

/// An error in Go's words: what is wrong, and the text that is.
pub(super) fn error(what: &str, text: &str) -> RegexError {
    RegexError(format!("error parsing regexp: {what}: `{text}`"))
}

#[derive(Clone, Copy)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_newline: bool,
    swap_greed: bool,
}

/// A part of the tree with what the limits ask about it.
struct Node {
    hir: Hir,
    height: u32,
    /// The largest product of nested counts.
    repeats: u32,
}

struct Group {
    flags_before: Flags,
    capture: Option<u32>,
    alternatives: Vec<Node>,
    sequence: Vec<Node>,
}

impl Group {
    fn new(flags_before: Flags, capture: Option<u32>) -> Self {
        Self { flags_before, capture, alternatives: Vec::new(), sequence: Vec::new() }
    }

    fn end_alternative(&mut self) {
        let alternative = join(std::mem::take(&mut self.sequence), Hir::concat);
        self.alternatives.push(alternative);
    }
}

fn join(nodes: Vec<Node>, combine: fn(Vec<Hir>) -> Hir) -> Node {
    let height = nodes.iter().map(|node| node.height).max().unwrap_or(0) + u32::from(nodes.len() > 1);
    let repeats = nodes.iter().map(|node| node.repeats).max().unwrap_or(1);
    Node { hir: combine(nodes.into_iter().map(|node| node.hir).collect()), height, repeats }
}

struct Parser<'e> {
    whole: &'e str,
    /// Byte offset of what comes next.
    at: usize,
    flags: Flags,
    /// The groups that are open, outermost first; the expression itself is one.
    open: Vec<Group>,
    group_names: Vec<Option<Box<str>>>,
    groups: Groups,
    class_ranges: usize,
    bars: usize,
    /// Where the last `:]` stands, so that nobody looks for one in vain again and again.
    names_end: usize,
}

impl<'e> Parser<'e> {
    fn run(&mut self) -> Result<Parsed, RegexError> {
        let mut repetition_before = None;
        while let Some(next) = self.peek() {
            let begin = self.at;
            let mut repetition = None;
            match next {
                '(' if self.rest().starts_with("(?") => self.flags_or_group()?,
                '(' => {
                    self.at += 1;
                    self.open_capture(None);
                }
                '|' => {
                    self.at += 1;
                    self.bars += 1;
                    self.innermost().end_alternative();
                }
                ')' => {
                    self.at += 1;
                    self.close_group()?;
                }
                '^' => self.look(1, if self.flags.multi_line { Look::StartLF } else { Look::Start }),
                '$' => self.look(1, if self.flags.multi_line { Look::EndLF } else { Look::End }),
                '.' => {
                    self.at += 1;
                    let dot = if self.flags.dot_newline { Dot::AnyChar } else { Dot::AnyCharExceptLF };
                    self.push(Hir::dot(dot));
                }
                '[' => self.bracket_class()?,
                '*' | '+' | '?' => {
                    self.at += 1;
                    let (min, max) = match next {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    self.repeat(begin, min, max, repetition_before)?;
                    repetition = Some(begin);
                }
                '{' => match self.counts() {
                    Some(counts) => {
                        let (min, max) = self.check_counts(begin, counts)?;
                        self.repeat(begin, min, max, repetition_before)?;
                        repetition = Some(begin);
                    }
                    None => {
                        self.at += 1;
                        self.literal('{')?;
                    }
                },
                '\\' => self.escape()?,
                literal => {
                    self.at += literal.len_utf8();
                    self.literal(literal)?;
                }
            }
            repetition_before = repetition;
        }
        if self.open.len() > 1 {
            return Err(error("missing closing )", self.whole));
        }
        let whole = self.end_group();
        self.check_height(whole.height)?;
        Ok(Parsed { hir: whole.hir, group_names: std::mem::take(&mut self.group_names), bars: self.bars })
    }

    fn rest(&self) -> &'e str {
        &self.whole[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Takes `text` if it comes next.
    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn since(&self, begin: usize) -> &'e str {
        &self.whole[begin..self.at]
    }

    fn innermost(&mut self) -> &mut Group {
        self.open.last_mut().expect("the expression itself is a group that only the end closes")
    }

    fn push(&mut self, hir: Hir) {
        self.innermost().sequence.push(Node { hir, height: 1, repeats: 1 });
    }

    fn look(&mut self, size_bytes: usize, look: Look) {
        self.at += size_bytes;
        self.push(Hir::look(look));
    }

    fn literal(&mut self, literal: char) -> Result<(), RegexError> {
        if !self.flags.fold_case {
            self.push(Hir::literal(literal.encode_utf8(&mut [0; 4]).as_bytes()));
            return Ok(());
        }
        self.class(ClassUnicode::new([ClassUnicodeRange::new(literal, literal)]), false)
    }

    fn class(&mut self, mut class: ClassUnicode, negated: bool) -> Result<(), RegexError> {
        if self.flags.fold_case {
            // Fails only without the tables, which are compiled in.
            class.try_case_fold_simple().map_err(|_| error("regexp/syntax: internal error", self.whole))?;
        }
        if negated {
            class.negate();
        }
        self.class_ranges += class.ranges().len();
        if self.class_ranges > CLASS_RANGES_MAX {
            return Err(error("expression too large", self.whole));
        }
        self.push(Hir::class(Class::Unicode(class)));
        Ok(())
    }

    fn open_capture(&mut self, name: Option<&str>) {
        let index = self.group_names.len() as u32;
        self.group_names.push(name.map(Box::from));
        self.open.push(Group::new(self.flags, Some(index)));
    }

    /// Ends the innermost group and takes it off the stack.
    fn end_group(&mut self) -> Node {
        self.innermost().end_alternative();
        let Some(group) = self.open.pop() else { unreachable!("there was an innermost group") };
        self.flags = group.flags_before;
        let mut node = join(group.alternatives, Hir::alternation);
        if let Some(index) = group.capture {
            node.height += 1;
            if self.groups == Groups::Captured {
                // Names stay here: the machine would refuse two of the same, Go does not.
                node.hir = Hir::capture(Capture { index, name: None, sub: Box::new(node.hir) });
            }
        }
        node
    }

    fn close_group(&mut self) -> Result<(), RegexError> {
        if self.open.len() == 1 {
            return Err(error("unexpected )", self.whole));
        }
        let group = self.end_group();
        self.check_height(group.height)?;
        self.innermost().sequence.push(group);
        Ok(())
    }

    fn check_height(&self, height: u32) -> Result<(), RegexError> {
        if height > HEIGHT_MAX { Err(error("expression nests too deeply", self.whole)) } else { Ok(()) }
    }

    /// What begins with `(?`: a named group, flags, or a group with flags.
    fn flags_or_group(&mut self) -> Result<(), RegexError> {
        let begin = self.at;
        if self.eat("(?P<") || self.eat("(?<") {
            let name_at = self.at;
            let Some(size_bytes) = self.rest().find('>') else {
                return Err(error("invalid named capture", &self.whole[begin..]));
            };
            self.at += size_bytes + 1;
            let name = &self.whole[name_at..self.at - 1];
            if name.is_empty() || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
                return Err(error("invalid named capture", self.since(begin)));
            }
            self.open_capture(Some(name));
            return Ok(());
        }
        self.at += 2;
        let mut flags = self.flags;
        let (mut set, mut any_since_sign) = (true, false);
        while let Some(next) = self.next() {
            let flag = match next {
                'i' => &mut flags.fold_case,
                'm' => &mut flags.multi_line,
                's' => &mut flags.dot_newline,
                'U' => &mut flags.swap_greed,
                '-' if set => {
                    (set, any_since_sign) = (false, false);
                    continue;
                }
                ':' | ')' if set || any_since_sign => {
                    if next == ':' {
                        self.open.push(Group::new(self.flags, None));
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            };
            *flag = set;
            any_since_sign = true;
        }
        Err(error("invalid or unsupported Perl syntax", self.since(begin)))
    }

    /// Takes `{n}`, `{n,}` or `{n,m}`; leaves everything else alone. A count that is far too large comes as `u32::MAX`.
    fn counts(&mut self) -> Option<(u32, Option<u32>)> {
        let inside = self.rest().strip_prefix('{')?;
        let size_bytes = inside.find(|c: char| !c.is_ascii_digit() && c != ',')?;
        let (inside, behind) = inside.split_at(size_bytes);
        if !behind.starts_with('}') {
            return None;
        }
        let count = |digits: &str| {
            let plain = !digits.is_empty() && !digits.contains(',') && (digits.len() == 1 || !digits.starts_with('0'));
            plain.then(|| digits.parse().unwrap_or(u32::MAX))
        };
        let counts = match inside.split_once(',') {
            None => (count(inside)?, Some(count(inside)?)),
            Some((min, "")) => (count(min)?, None),
            Some((min, max)) => (count(min)?, Some(count(max)?)),
        };
        self.at += inside.len() + 2;
        Some(counts)
    }

    fn check_counts(&self, begin: usize, (min, max): (u32, Option<u32>)) -> Result<(u32, Option<u32>), RegexError> {
        if min > REPEAT_MAX || max.is_some_and(|max| max > REPEAT_MAX || min > max) {
            return Err(error("invalid repeat count", self.since(begin)));
        }
        Ok((min, max))
    }

    /// Repeats what came before; the operator begins at `begin`, and so does the one directly before it, if there is one.
    fn repeat(
        &mut self,
        begin: usize,
        min: u32,
        max: Option<u32>,
        repetition_before: Option<usize>,
    ) -> Result<(), RegexError> {
        let counted = self.whole[begin..].starts_with('{');
        let lazy = self.eat("?");
        if let Some(before) = repetition_before {
            return Err(error("invalid nested repetition operator", self.since(before)));
        }
        let Some(node) = self.innermost().sequence.pop() else {
            return Err(error("missing argument to repetition operator", self.since(begin)));
        };
        let repeats = match max.unwrap_or(min) {
            _ if !counted => node.repeats,
            0 if max.is_some() => 1,
            times => node.repeats * times.max(1),
        };
        if counted && max.unwrap_or(min) >= 2 && repeats > REPEAT_MAX {
            return Err(error("invalid repeat count", self.since(begin)));
        }
        let height = node.height + 1;
        self.check_height(height)?;
        let greedy = lazy == self.flags.swap_greed;
        let hir = Hir::repetition(Repetition { min, max, greedy, sub: Box::new(node.hir) });
        self.innermost().sequence.push(Node { hir, height, repeats });
        Ok(())
    }

    /// What begins with a backslash, outside brackets.
    fn escape(&mut self) -> Result<(), RegexError> {
        match self.rest()[1..].chars().next() {
            Some('A') => self.look(2, Look::Start),
            Some('z') => self.look(2, Look::End),
            Some('b') => self.look(2, Look::WordAscii),
            Some('B') => self.look(2, Look::WordAsciiNegate),
            Some('Q') => {
                self.at += 2;
                let quoted = self.rest().split(r"\E").next().unwrap_or_default();
                self.at += quoted.len();
                self.eat(r"\E");
                for literal in quoted.chars() {
                    self.literal(literal)?;
                }
            }
            _ => {
                if let Some(class) = self.class_escape()? {
                    return self.class(class, false);
                }
                match self.character_escape()? {
                    Some(literal) => self.literal(literal)?,
                    None => self.push(Hir::fail()), // half a surrogate pair: in no text
                }
            }
        }
        Ok(())
    }

    /// Takes `\d`, `\pN`, `\p{Greek}` and the like.
    fn class_escape(&mut self) -> Result<Option<ClassUnicode>, RegexError> {
        let begin = self.at;
        let mut next = self.rest().chars();
        let (Some('\\'), Some(letter)) = (next.next(), next.next()) else { return Ok(None) };
        if let Some(class) = class::perl(letter) {
            self.at += 2;
            return Ok(Some(if letter.is_ascii_uppercase() { self.negation(class) } else { class }));
        }
        if !matches!(letter, 'p' | 'P') {
            return Ok(None);
        }
        self.at += 2;
        let Some(first) = self.next() else { return Err(error("invalid character class range", self.since(begin))) };
        let name = if first == '{' {
            let Some(size_bytes) = self.rest().find('}') else {
                return Err(error("invalid character class range", &self.whole[begin..]));
            };
            self.at += size_bytes + 1;
            &self.since(begin)[3..3 + size_bytes]
        } else {
            &self.since(begin)[2..]
        };
        let (name, hat) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        match class::unicode(name) {
            Some(class) if hat == (letter == 'p') => Ok(Some(self.negation(class))),
            Some(class) => Ok(Some(class)),
            None => Err(error("invalid character class range", self.since(begin))),
        }
    }

    /// The complement of a class; under `(?i)` that of what the class means there.
    fn negation(&self, mut class: ClassUnicode) -> ClassUnicode {
        if self.flags.fold_case {
            class.case_fold_simple();
        }
        class.negate();
        class
    }

    /// Takes an escaped character. None is half a surrogate pair.
    fn character_escape(&mut self) -> Result<Option<char>, RegexError> {
        let begin = self.at;
        self.at += 1;
        let Some(escaped) = self.next() else { return Err(error("trailing backslash at end of expression", "")) };
        let octal = |character: char| character.to_digit(8);
        let code = match escaped {
            // A single digit other than 0 would be a backreference.
            '0' | '1'..='7' if escaped == '0' || self.peek().and_then(octal).is_some() => {
                let mut code = octal(escaped).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(octal) else { break };
                    self.at += 1;
                    code = code * 8 + digit;
                }
                Some(code)
            }
            'x' => self.hexadecimal(),
            'a' => Some(0x07),
            'f' => Some(0x0c),
            'n' => Some(0x0a),
            'r' => Some(0x0d),
            't' => Some(0x09),
            'v' => Some(0x0b),
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => Some(u32::from(other)),
            _ => None,
        };
        match code {
            Some(code) => Ok(char::from_u32(code)),
            None => Err(error("invalid escape sequence", self.since(begin))),
        }
    }

    /// Takes what follows `\x`: two digits, or any number in braces.
    fn hexadecimal(&mut self) -> Option<u32> {
        let first = self.next()?;
        if first != '{' {
            let second = self.next();
            return Some(first.to_digit(16)? * 16 + second?.to_digit(16)?);
        }
        let (mut code, mut digits) = (0, 0);
        loop {
            let next = self.next()?;
            if next == '}' {
                return (digits > 0).then_some(code);
            }
            code = code * 16 + next.to_digit(16)?;
            digits += 1;
            if code > u32::from(char::MAX) {
                return None;
            }
        }
    }

    /// Takes a class in brackets.
    fn bracket_class(&mut self) -> Result<(), RegexError> {
        let begin = self.at;
        self.at += 1;
        let negated = self.eat("^");
        let mut class = ClassUnicode::empty();
        let mut first = true; // where ] is literal
        while first || self.peek() != Some(']') {
            first = false;
            if let Some(name) = self.named_class()? {
                class.union(&name);
            } else if let Some(escape) = self.class_escape()? {
                class.union(&escape);
            } else {
                self.class_range(begin, &mut class)?;
            }
        }
        self.at += 1;
        self.class(class, negated)
    }

    /// Takes `[:alpha:]` and the like; what looks otherwise is left alone.
    fn named_class(&mut self) -> Result<Option<ClassUnicode>, RegexError> {
        let Some(inside) = self.rest().strip_prefix("[:") else { return Ok(None) };
        if self.at >= self.names_end {
            return Ok(None);
        }
        let Some((name, _)) = inside.split_once(":]") else { return Ok(None) };
        let begin = self.at;
        self.at += name.len() + 4;
        let (name, hat) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        match class::posix(name) {
            Some(class) if hat => Ok(Some(self.negation(class))),
            Some(class) => Ok(Some(class)),
            None => Err(error("invalid character class range", self.since(begin))),
        }
    }

    /// Takes a character or a range of them and adds it to `class`, which began at `begin`.
    fn class_range(&mut self, begin: usize, class: &mut ClassUnicode) -> Result<(), RegexError> {
        let range_begin = self.at;
        let low = self.class_character(begin)?;
        let mut high = low;
        let rest = self.rest();
        if rest.len() >= 2 && rest.starts_with('-') && !rest.starts_with("-]") {
            self.at += 1;
            high = self.class_character(begin)?;
        }
        if low > high {
            return Err(error("invalid character class range", self.since(range_begin)));
        }
        // Halves of surrogate pairs are in no text.
        let low = char::from_u32(low).unwrap_or('\u{e000}');
        let high = char::from_u32(high).unwrap_or('\u{d7ff}');
        if low <= high {
            class.push(ClassUnicodeRange::new(low, high));
        }
        Ok(())
    }

    fn class_character(&mut self, begin: usize) -> Result<u32, RegexError> {
        if self.peek() == Some('\\') {
            // A surrogate's own number only matters for the order of a range; any will do.
            return Ok(self.character_escape()?.map_or(0xd800, u32::from));
        }
        self.next().map(u32::from).ok_or_else(|| error("missing closing ]", &self.whole[begin..]))
    }
}
