//! Regular expressions: what is matched without an automaton is what the automaton matches.

use longhaul_model::regex::AnchoredRegex;

/// The longest expression, bytes.
const EXPRESSION_BYTES_MAX: usize = 256;

/// An expression on the first line, a text to match on the others. Whatever way of matching is chosen for the
/// expression, it says of the text what an automaton says, and keeps what it tells an index.
pub fn match_regex(bytes: &[u8]) {
    let Ok(input) = std::str::from_utf8(bytes) else { return };
    let (expression, text) = input.split_once('\n').unwrap_or((input, ""));
    if expression.len() > EXPRESSION_BYTES_MAX {
        return;
    }
    let Ok(regex) = AnchoredRegex::new(expression) else { return };
    for text in [text, "", expression, "a", "aa\nb"] {
        let matches = regex.is_match(text);
        assert!(!matches || text.starts_with(regex.prefix()), "{expression:?}: {text:?} without its prefix");
        if let Some(literals) = regex.literals() {
            assert_eq!(literals.iter().any(|literal| literal == text), matches, "{expression:?} on {text:?}");
        }
        assert!(!regex.matches_everything() || matches, "{expression:?} matches everything but {text:?}");
        assert!(!regex.matches_all_but_empty() || matches != text.is_empty(), "{expression:?} on {text:?}");
        // An expression with a class in it that this text does not have is for the automaton.
        let by_automaton = AnchoredRegex::new(&format!("(?:{expression})|\u{1}[0-9]{{3}}"));
        if let Ok(by_automaton) = by_automaton {
            assert_eq!(by_automaton.is_match(text), matches, "{expression:?} on {text:?}");
        }
        assert_eq!(regex.expand(text, "$0").is_some(), matches, "{expression:?} on {text:?} with groups");
    }
}
