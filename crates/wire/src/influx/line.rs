//! One point of the line protocol: `measurement,tag=value field=1,other=2i 1700000000000000000`.
//!
//! Format: InfluxDB's "Line protocol reference". Texts in quotes may hold ends of lines, so that lines are found by reading
//! them. Invariant: the cursor never moves back, and each of its steps reads at least a byte.

/// A point with the fields that have a number.
#[derive(Debug, PartialEq)]
pub(super) struct Point {
    pub measurement: String,
    pub tags: Vec<(String, String)>,
    pub fields: Vec<(String, f64)>,
    /// In the request's precision.
    pub time: Option<i64>,
}

/// A position in a text.
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    /// Of the line that the position is in, from 1.
    line: u64,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1 }
    }

    /// Moves to the next line that holds a point; false at the end.
    pub fn next_line(&mut self) -> bool {
        loop {
            while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
                self.step();
            }
            match self.peek() {
                None => return false,
                Some(b'#') => self.skip_line(),
                Some(_) => return true,
            }
        }
    }

    /// The line's number.
    pub fn line_number(&self) -> u64 {
        self.line
    }

    /// Moves behind the end of the line.
    pub fn skip_line(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.step();
        }
    }

    /// Reads a point; the position is then at the end of its line. After an error it is wherever the error is.
    pub fn point(&mut self) -> Result<Point, String> {
        let measurement = self.name(b", ", b", ")?;
        if measurement.is_empty() {
            return Err("it has no measurement".to_owned());
        }
        let mut tags = Vec::new();
        while self.take(b',') {
            let key = self.name(b",= ", b",= ")?;
            if key.is_empty() || !self.take(b'=') {
                return Err(format!("the tag {key:?} is no name with a value"));
            }
            let value = self.name(b",= ", b",= ")?;
            if value.is_empty() || self.peek() == Some(b'=') {
                return Err(format!("the tag {key:?} has no value, or two"));
            }
            tags.push((key, value));
        }
        self.skip_blanks();
        let mut fields = Vec::new();
        loop {
            let key = self.name(b",= ", b",= ")?;
            if key.is_empty() || !self.take(b'=') {
                return Err(format!("the field {key:?} is no name with a value"));
            }
            if let Some(value) = self.value(&key)? {
                fields.push((key, value));
            }
            if !self.take(b',') {
                break;
            }
        }
        self.skip_blanks();
        let time = self.raw(b" \r");
        let time = match time {
            "" => None,
            time => Some(time.parse().map_err(|_| format!("{time:?} is no time"))?),
        };
        self.skip_blanks();
        self.take(b'\r');
        match self.peek() {
            None | Some(b'\n') => Ok(Point { measurement, tags, fields, time }),
            Some(_) => Err("there is something behind the time".to_owned()),
        }
    }

    /// A field's value; None if it is a text.
    fn value(&mut self, key: &str) -> Result<Option<f64>, String> {
        if self.take(b'"') {
            self.skip_text()?;
            return match self.peek() {
                None | Some(b',' | b' ' | b'\r' | b'\n') => Ok(None),
                Some(_) => Err(format!("there is something behind the text of the field {key:?}")),
            };
        }
        let text = self.raw(b", \r");
        let wrong = || format!("the field {key:?} has the value {text:?}");
        let value = match text {
            "t" | "T" | "true" | "True" | "TRUE" => 1.0,
            "f" | "F" | "false" | "False" | "FALSE" => 0.0,
            text => {
                let whole = |digits: &str| digits.parse::<i64>().ok().map(|number| number as f64);
                let unsigned = |digits: &str| digits.parse::<u64>().ok().map(|number| number as f64);
                let number = match text.as_bytes().last() {
                    Some(b'i') => whole(&text[..text.len() - 1]),
                    Some(b'u') => unsigned(&text[..text.len() - 1]),
                    // `inf` and `nan` are no numbers of the protocol.
                    Some(b'0'..=b'9' | b'.') => text.parse().ok(),
                    _ => None,
                };
                number.filter(|number| number.is_finite()).ok_or_else(wrong)?
            }
        };
        Ok(Some(value))
    }

    /// Moves behind the end of a text whose beginning was read.
    fn skip_text(&mut self) -> Result<(), String> {
        while let Some(byte) = self.peek() {
            self.step();
            match byte {
                b'"' => return Ok(()),
                b'\\' if self.peek().is_some() => self.step(),
                _ => {}
            }
        }
        Err("a text does not end".to_owned())
    }

    /// A name up to one of `stops` or the end of the line; a backslash before one of `escapable` is taken out.
    fn name(&mut self, stops: &[u8], escapable: &[u8]) -> Result<String, String> {
        let mut name = Vec::new();
        while let Some(byte) = self.peek().filter(|byte| *byte != b'\n' && !stops.contains(byte)) {
            self.step();
            match self.peek() {
                Some(next) if byte == b'\\' && escapable.contains(&next) => {
                    self.step();
                    name.push(next);
                }
                _ => name.push(byte),
            }
        }
        String::from_utf8(name).map_err(|_| "it is not valid UTF-8".to_owned())
    }

    /// The bytes up to one of `stops` or the end of the line; empty if they are no text.
    fn raw(&mut self, stops: &[u8]) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte != b'\n' && !stops.contains(&byte)) {
            self.step();
        }
        str::from_utf8(&self.text[start..self.at]).unwrap_or("?")
    }

    fn skip_blanks(&mut self) {
        while self.peek() == Some(b' ') {
            self.step();
        }
    }

    fn take(&mut self, wanted: u8) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.step();
        }
        is_there
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn step(&mut self) {
        self.line += u64::from(self.peek() == Some(b'\n'));
        self.at += 1;
    }
}
