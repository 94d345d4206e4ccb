#!/usr/bin/env python3
"""Writes re2_cases.jsonl beside this file: regular expressions, and what RE2 itself says of them.

    pip install google-re2 && python3 crates/model/src/regex/ask_re2.py

The tests read the file, so they need neither Python nor RE2. The same seed makes the same expressions; a newer RE2 may
say something else of them. For a longer hunt, write others to a file that the tests read instead:

    python3 crates/model/src/regex/ask_re2.py --seed 1 --generated 20000 --out hunt.jsonl
    LONGHAUL_RE2_CASES=$PWD/hunt.jsonl cargo test -p longhaul-model --lib agrees_with_re2

The first line is a list of texts that every expression is tried on. Each other line is {"p": expression} with
    "refused": true                      if RE2 does not compile it, or else
    "c": [...]                           which of the first line's texts match as a whole,
    "y": [...], "n": [...]               texts made for this expression, those that match and those that do not,
    "g": [...]                           if there are groups, what each of them is in each match, first of "c", then of
                                         "y"; null for a group that took no part.

Left out is what Go's dialect, which Prometheus speaks, has otherwise than RE2: see `differs`.
"""

import argparse
import json
import pathlib
import random
import re

import re2


# Texts that every expression is tried on.
COMMON = [
    "", "a", "b", "ab", "abc", "ABC", "aa", "aaa", "foo", "foobar", "Foo", "a\nb", "\n", "a b", " ", "\t", "\v", "0", "12",
    "_", "-", ".", "^", "]", "\\", "é", "É", "ß", "ẞ", "ss", "K", "\u212a", "k", "ſ", "s", "S", "σ", "ς", "Σ", "µ", "μ", "Å",
    "\u212b", "å", "ı", "İ", "I", "i", "ǅ", "ǆ", "Ǆ", "日本", "😀", "٣", "\u2028", "\x7f", "\u0080", "\u00a0", "e\u0301", "a{2}",
    "x{,3}", "node-1:9100", "10.0.0.1",
]

# What a grammar would hardly find.
BY_HAND = r"""
a|b|
|
||
(|a)
(a|)
()
(?:)
a||b
(?:|a)+
(?i)k
(?i)ſ
(?i)S
(?i)ß
(?i)ẞ
(?i)µ
(?i)Å
(?i)ǆ
(?i)İ
(?i)ı
(?i)[k]
(?i)[^k]
(?i)[a-z]
(?i)[^a-z]
(?i)[A-z]
(?i)\x{17f}
(?i)[^\x{17f}]
(?i)[[:upper:]]
(?i)[[:^upper:]]
(?i)\p{Lu}
(?i)\P{Lu}
(?i)[\p{Lu}]
(?i)[^\p{Lu}]
(?i)\w
(?i)[\W]
(?i)[[:word:]]
(?i)\Qk.\E
(?i)a(?-i)b
(?i:a)b
(?-i:a)b
(?i)(?-i:a)b
a(?i)b|c
(a(?i)b)c
(?i-s)a.b
(?s-i).
(?-s).
(?-s)a.b
(?-s)[^a]
(?-s:.)(?s:.)
(?m)^a$
(?m)a$\n^b
(?m)^$
(?m).*$.*
(?-m)a$
(?U)a+?
(?U)a*
(?U:a+)(a*)
(?i)(?i)a
(?)
(?:
(?i
(?i:
(?ii)a
(?i-)a
(?-)a
(?--i)a
(?-i-s)a
(?z)
(?P<n>a)
(?<n>a)
(?P<n>a)(?P<m>b)
(?P<n>
(?P<n
(?P<>a)
(?P<1>a)
(?P<é>a)
(?P<a-b>a)
(?P=n)
(?P>n)
(?=a)
(?!a)
(?<=a)
(?<!a)
(?>a)
(?#a)
(?'n'a)
^
$
^^a$$
a^b
a$b
(^a)
(a$)
(?:^a|b)c
(?:a|b$)
^*
$+
^?a
(?:^)*a
(?:$|a)b
\A
\z
\Z
\Aa\z
a\Ab
(?m)\Aa\z
(?m)\Aa\n
\b
\B
\ba\b
\Ba
a\B
\ba\Bb\b
a\b b
é\b
\bé\b
\B é
\b*
\B?a
.\b.
\Q
\Qa
\Qa.b\E
\Qa\Eb
\Q\E
\Q\Ea
\Qab\E*
\Qab\E+
\Q[\E
\Q\\E
\Qa\\Eb
\E
a\Eb
\Q\Q\E
[\Qab\E]
[\Q]\E]
\a
\f
\n
\r
\t
\v
\e
\0
\00
\01
\07
\08
\012
\0123
\1
\12
\123
\8
\9
\18
\377
\400
\777
\x
\x4
\x41
\x4G
\x{}
\x{41}
\x{0041}
\x{1F600}
\x{10FFFF}
\x{110000}
\x{41
\x{4g}
\X41
\u0041
\U00000041
\cA
\d
\D
\s
\S
\w
\W
\h
\H
\R
\K
\G
\g1
\k<n>
\N
\L
\l
\_
\-
\ a
\"
\/
\é
\
a\
[\]
\p
\pL
\PL
\pN
\p{L}
\p{Lu}
\p{^Lu}
\P{^Lu}
\p{Lul}
\p{Any}
\P{Any}
\p{^Any}
[\p{^Any}]
[^\P{Any}]
\p{Greek}
\p{greek}
\p{ Greek}
\p{Old_Italic}
\p{OldItalic}
\p{Script=Greek}
\p{IsGreek}
\p{Han}
\p{Cyrillic}+
\p{Latin}
\p{
\p{L
\pl
\pé
\p{C}
\p{Cc}
\p{Cn}
\p{Cs}
\p{Zs}
\p{Zl}
\p{Nd}
\p{M}
\p{Sc}
[\pL\d]
[^\pL]
[\PL]
[[:alpha:]]
[[:^alpha:]]
[^[:alpha:]]
[^[:^alpha:]]
[[:alpha:][:digit:]]
[:alpha:]
[[:alpha:]
[[:alpha]]
[[alpha:]]
[[:Alpha:]]
[[:foo:]]
[[::]]
[[:^:]]
[[:word:]]
[[:ascii:]]
[[:^ascii:]]
[[:blank:]]
[[:cntrl:]]
[[:graph:]]
[[:print:]]
[[:punct:]]
[[:space:]]
[[:xdigit:]]
[[.a.]]
[[=a=]]
[a[:digit:]b]
[]
[]]
[]a]
[^]
[^]a]
[^]]
[[]
[[a]
[a[]
[a]]
[^[]
[^^]
[a^]
[-]
[--]
[---]
[a-]
[-a]
[^-a]
[a-b-c]
[a-c-e]
[a\-c]
[a-\d]
[\d-a]
[\w-]
[-\w]
[a-\x63]
[\x61-c]
[\0-a]
[\n]
[^\n]
[^\D]
[^\S\D]
[\s\S]
[^\s\S]
[\b]
[\B]
[\A]
[\z]
[\pN-a]
[b-a]
[a-a]
[é-a]
[a-é]
[\x{1F600}-\x{1F64F}]
[^\x00-\x{10FFFF}]
[\x00-\x{10FFFF}]
[^\x00]
[a&&b]
[a--b]
[a~~b]
[a||b]
[#]
[ a]
a{0}
a{1}
a{2}
a{2,}
a{2,3}
a{,3}
a{3,2}
a{0,0}
a{0,1}
a{1,1}
a{1000}
a{1001}
a{0,1001}
a{1001,}
a{01}
a{1,01}
a{ 1}
a{1 }
a{1,2 }
a{-1}
a{+1}
a{x}
a{
a{1
a{1,
a{1,2
a}
{
}
{1}
{,1}
{a
x{
|{1}
({1})
(a{10}){100}
(a{10}){101}
((a{10}){10}){10}
((a{10}){10}){11}
(?:a{500}){2,3}
(a{2,3}){3,4}
a**
a*+
a*?
a*??
a*?*
a+*
a+?
a+??
a?+
a??
a???
a{2}*
a{2}?
a{2}??
a*{2}
a{2}{3}
a{2}+
(a*)*
(a*)+
(a+)*
(a?)*
(a*)?
(a|b)*
(a*|b)*
(a|ab)(c|bcd)(d*)
(a+)(b+)?
(a|b)*?c
(a??)(a*)
(.*)(.*)
(.+?)(.*)
(a)|(b)
((a)|b)+
(a)?(b)?
(?:(a)|b)*
*
+
?
*a
+a
?a
(*a)
(+)
|*
a|*
^*a
(?i)*
a(?i)*
(|*)
(
)
((
))
(a
a)
(a))
((a)
a|(b
[a
a]
\Q)
(?:a
.
..
.*
.+
.?
.{2}
.{2,}
.*?
(?:.*)
(.*)
(?s:.*)
(?-s:.*)
.*.*
.+.*
.*.+
(?:.*)*
(?:.+)+
(?:.|\n)*
[\s\S]*
a.*b.*c
a.+b
.*a
.*a.*
.*\n.*
foo|bar|baz
foo|foobar
foobar|foo
(foo|bar)-(1|2|3)
(?:prod|dev)-.*
(?i)(foo|bar)
(?i:foo)|bar
10\.0\.0\.(1|2)
node-[0-9]+:9100
^(?:a|b)$
^a|b$
^(a|b)|c$
(?:a|b|c|d|e|f|g|h|i|j)
[a][b][c]
(?:[ab]|c)
a{3}|b{2}
日本|😀
日.
.本
[日本]{2}
\x{65e5}\x{672c}
é
e\x{301}
\p{Mn}
""".split("\n")[1:-1]


def differs(pattern):
    """Whether Go's dialect has `pattern` otherwise than RE2, as the sources of both tell."""
    pattern = pattern.replace(r"\\", "")
    return (
        r"\C" in pattern  # one byte in RE2, refused in Go
        or re.search(r"\(\?P?<[^>]*[^\x00-\x7f]", pattern)  # names of groups are ASCII in Go
        or re.search(r"\\[pP]\{\^?(Cn|LC)\}", pattern)  # categories that Go knows and RE2 does not
    )


class Generator:
    """Makes expressions together with texts that are likely to match."""

    LETTERS = "abcABCfoKkSsxyz019_-. é日ßσς"
    CLASSES = {
        ".": "ab\n日", r"\d": "059", r"\D": "a٣-", r"\s": " \t\n", r"\S": "a_\v", r"\w": "aZ_9", r"\W": "-é ",
        r"\pL": "aé日", r"\PL": "1-\n", r"\p{Lu}": "AÉ", r"\p{^Lu}": "aé1", r"\p{Greek}": "σΩ", r"\pN": "1٣",
        "[abc]": "abc", "[^abc]": "xA\n", "[a-f]": "af", "[^a-f0-3]": "g4é", "[[:alpha:]]": "aZ", "[[:^alpha:]]": "1é",
        "[[:digit:]x]": "3x", "[^[:space:]]": "a\v", r"[\d_]": "7_", r"[^\w.]": "-é", r"[\pL-]": "é-", "[]x]": "]x",
        "[^]x]": "a[", "[a-cx-z]": "by", "[é-ü日]": "é日", r"[\x{3b1}-\x{3c9}]": "σς", "[.]": ".", "[k]": "kK\u212a",
    }
    ASSERTIONS = ["^", "$", r"\b", r"\B", r"\A", r"\z"]
    REPEATS = [("*", 0, 3), ("+", 1, 3), ("?", 0, 1), ("{2}", 2, 2), ("{1,3}", 1, 3), ("{2,}", 2, 4), ("{0}", 0, 0),
               ("{0,2}", 0, 2)]
    FLAGS = ["i", "s", "m", "U", "-s", "is", "i-s", "-i", "ms", "m-s"]

    def __init__(self, rng):
        self.rng = rng

    def expression(self, depth):
        alternatives = [self.sequence(depth) for _ in range(self.rng.choice([1, 1, 1, 2, 2, 3]))]
        patterns = "|".join(pattern for pattern, _ in alternatives)
        return patterns, lambda: self.rng.choice(alternatives)[1]()

    def sequence(self, depth):
        parts = [self.repeated(depth) for _ in range(self.rng.choice([0, 1, 1, 2, 2, 3, 4]))]
        return "".join(pattern for pattern, _ in parts), lambda: "".join(text() for _, text in parts)

    def repeated(self, depth):
        pattern, text = self.atom(depth)
        if self.rng.random() < 0.4:
            sign, least, most = self.rng.choice(self.REPEATS)
            lazy = self.rng.choice(["", "", "", "?"])
            return pattern + sign + lazy, lambda: "".join(text() for _ in range(self.rng.randint(least, most)))
        return pattern, text

    def atom(self, depth):
        kind = self.rng.random()
        if depth > 0 and kind < 0.25:
            pattern, text = self.expression(depth - 1)
            opening = self.rng.choice(["(", "(", "(?:", "(?:", "(?P<n%d>" % self.rng.randrange(10**6), "(?%s:" % self.flags()])
            return opening + pattern + ")", text
        if kind < 0.33:
            return self.rng.choice(self.ASSERTIONS), lambda: ""
        if kind < 0.36:
            return "(?%s)" % self.flags() + self.rng.choice(self.LETTERS).replace(".", r"\."), lambda: "k"
        if kind < 0.55:
            pattern, texts = self.rng.choice(sorted(self.CLASSES.items()))
            return pattern, lambda: self.rng.choice(texts)
        if kind < 0.6:
            text = "".join(self.rng.choice("a.*[k") for _ in range(2))
            return r"\Q%s\E" % text, lambda: text
        letter = self.rng.choice(self.LETTERS)
        written = self.rng.choice([letter] * 6 + ["\\x{%x}" % ord(letter)])
        return written.replace(".", r"\."), lambda: letter

    def flags(self):
        return self.rng.choice(self.FLAGS)


def mutated(rng, text, alphabet):
    """`text` with one character more, less or other."""
    at = rng.randrange(len(text) + 1)
    end = at + rng.choice([0, 1, 1])
    return text[:at] + rng.choice(["", rng.choice(alphabet), rng.choice(alphabet)]) + text[end:]


def texts_for(rng, sample):
    """Likely matches and near misses, but none of the common texts."""
    texts = []
    for _ in range(5):
        likely = sample()[:40]
        texts += [likely, mutated(rng, likely, "aKſ\n-é"), likely.swapcase()]
    return [text for text in dict.fromkeys(texts) if text not in COMMON]


def case(pattern, texts):
    """The line for an expression."""
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = 1 << 28
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        return {"p": pattern, "refused": True}
    matches = {text: compiled.fullmatch(text) for text in COMMON + texts}
    line = {
        "p": pattern,
        "c": [at for at, text in enumerate(COMMON) if matches[text]],
        "y": [text for text in texts if matches[text]],
        "n": [text for text in texts if not matches[text]],
    }
    if compiled.groups:
        matched = [COMMON[at] for at in line["c"]] + line["y"]
        line["g"] = [matches[text].groups() for text in matched]
    return {key: value for key, value in line.items() if value or key in "pc"}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int, default=20260921)
    arguments.add_argument("--generated", type=int, default=900)
    arguments.add_argument("--mutated", type=int, default=500)
    arguments.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_name("re2_cases.jsonl"))
    arguments = arguments.parse_args()
    rng = random.Random(arguments.seed)
    generator = Generator(rng)
    cases = {pattern: case(pattern, []) for pattern in BY_HAND}
    generated = []
    while len(generated) < arguments.generated:
        pattern, sample = generator.expression(3)
        if pattern not in cases and len(pattern) < 60:
            generated.append(pattern)
            cases[pattern] = case(pattern, texts_for(rng, sample))
    bases = BY_HAND + generated
    for _ in range(arguments.mutated):
        pattern = rng.choice(bases)
        for _ in range(rng.choice([1, 1, 2])):
            pattern = mutated(rng, pattern, r"\()[]{}?*+|^$.-,:<>aik1PQE")
        if pattern not in cases:
            cases[pattern] = case(pattern, [])
    kept = [line for pattern, line in cases.items() if not differs(pattern)]
    lines = [json.dumps(line, separators=(",", ":")) for line in [COMMON] + kept]
    arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(kept)} expressions, {sum('refused' in line for line in kept)} refused")


main()
