//! The named character classes of Go's regular expressions: `\d`, `[:alpha:]`, `\p{Greek}`.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

fn of(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|&(first, last)| ClassUnicodeRange::new(first, last)))
}

const DIGIT: &[(char, char)] = &[('0', '9')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

/// The class of `\d`, `\s` or `\w`; of their capitals the class that they negate.
pub(super) fn perl(letter: char) -> Option<ClassUnicode> {
    match letter {
        'd' | 'D' => Some(of(DIGIT)),
        's' | 'S' => Some(of(&[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')])), // no vertical tab
        'w' | 'W' => Some(of(WORD)),
        _ => None,
    }
}

/// The class `[:name:]`.
pub(super) fn posix(name: &str) -> Option<ClassUnicode> {
    Some(of(match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7f')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => DIGIT,
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => WORD,
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    }))
}

/// The general category or script that Go calls `name`: exactly so written, `\p{Lu}` and `\p{Old_Italic}`, unlike the
/// loose names of `regex-syntax`.
pub(super) fn unicode(name: &str) -> Option<ClassUnicode> {
    /// The scripts whose names have four letters, as many as the short names that Go does not know.
    const SHORT_SCRIPTS: [&str; 9] = ["Ahom", "Cham", "Kawi", "Lisu", "Miao", "Modi", "Newa", "Thai", "Toto"];
    match (name, name.as_bytes()) {
        ("Any", _) => Some(of(&[('\0', char::MAX)])),
        ("Cs", _) => Some(ClassUnicode::empty()), // surrogates are in no text
        // Without what is not assigned, which Unicode counts to it.
        ("C", _) => {
            let mut class = property("gc=Cc")?;
            class.union(&property("gc=Cf")?);
            class.union(&property("gc=Co")?);
            Some(class)
        }
        ("Yi" | "SignWriting", _) => property(&format!("sc={name}")),
        (_, [b'A'..=b'Z'] | [b'A'..=b'Z', b'a'..=b'z'] | b"LC") => property(&format!("gc={name}")),
        (_, [b'A'..=b'Z', _, ..]) => {
            let capitalised = |word: &str| {
                let lower = word.strip_prefix(|first: char| first.is_ascii_uppercase());
                lower.is_some_and(|lower| !lower.is_empty() && lower.bytes().all(|byte| byte.is_ascii_lowercase()))
            };
            let written = name.split('_').all(|word| capitalised(word) || word == "A" || word == "B");
            let known = name.len() != 4 || SHORT_SCRIPTS.contains(&name);
            if written && known { property(&format!("sc={name}")) } else { None }
        }
        _ => None,
    }
}

fn property(query: &str) -> Option<ClassUnicode> {
    let hir = regex_syntax::parse(&format!(r"\p{{{query}}}")).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A class of one character, such as Zl, has become that character.
        HirKind::Literal(literal) => {
            let only = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(of(&[(only, only)]))
        }
        _ => None,
    }
}
