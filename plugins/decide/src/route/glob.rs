//! Patterns with wildcards. All states of the pattern advance together over the text, so that the time is at most
//! (length of the text) × (length of the pattern) whatever either says: no backtracking.

/// The most elements of one pattern (octets and wildcards).
pub const ELEMENTS_MAX: usize = WORDS * 64 - 1;

const WORDS: usize = 16;

/// A compiled pattern over a whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    elements: Vec<Element>,
    /// The octets before the first wildcard: compared at once, and most texts are refused by them.
    literal: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    /// This octet.
    Octet(u8),
    /// One octet but a slash.
    One,
    /// Any run without a slash.
    Run,
    /// Any run.
    AnyRun,
}

/// The pattern has too many elements.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the pattern has {elements} elements, and at most {ELEMENTS_MAX} are allowed: make it shorter"
)]
pub struct TooLong {
    elements: usize,
}

impl Glob {
    /// A pattern over paths: `*` is any run without a slash, `**` any run, `?` one octet but a slash. A pattern that does
    /// not begin with a slash may begin after any slash of the path: `*.css` is `**/*.css`.
    pub fn of_path(pattern: &str) -> Result<Self, TooLong> {
        let mut elements = Vec::with_capacity(pattern.len() + 2);
        if !pattern.starts_with('/') && !pattern.starts_with("**") {
            elements.extend([Element::AnyRun, Element::Octet(b'/')]);
        }
        let mut bytes = pattern.bytes().peekable();
        while let Some(byte) = bytes.next() {
            elements.push(match byte {
                b'*' if bytes.next_if_eq(&b'*').is_some() => Element::AnyRun,
                b'*' => Element::Run,
                b'?' => Element::One,
                other => Element::Octet(other),
            });
        }
        Self::of(elements)
    }

    /// A pattern over a value in which `*` is any run and everything else is itself.
    pub fn of_value(pattern: &str) -> Result<Self, TooLong> {
        Self::of(
            pattern
                .bytes()
                .map(|byte| {
                    if byte == b'*' {
                        Element::AnyRun
                    } else {
                        Element::Octet(byte)
                    }
                })
                .collect(),
        )
    }

    fn of(mut elements: Vec<Element>) -> Result<Self, TooLong> {
        // A run beside a run says no more than the wider of the two.
        elements.dedup_by(|next, kept| match (*kept, *next) {
            (Element::AnyRun, Element::AnyRun | Element::Run) | (Element::Run, Element::Run) => {
                true
            }
            (Element::Run, Element::AnyRun) => {
                *kept = Element::AnyRun;
                true
            }
            _ => false,
        });
        if elements.len() > ELEMENTS_MAX {
            return Err(TooLong {
                elements: elements.len(),
            });
        }
        let literal: Vec<u8> = elements
            .iter()
            .map_while(|element| {
                if let Element::Octet(byte) = element {
                    Some(*byte)
                } else {
                    None
                }
            })
            .collect();
        elements.drain(..literal.len());
        Ok(Self { elements, literal })
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        let Some(text) = text.strip_prefix(self.literal.as_slice()) else {
            return false;
        };
        if let [Element::AnyRun] = self.elements.as_slice() {
            return true;
        }
        let mut states = States::default();
        self.enter(&mut states, 0);
        for &byte in text {
            let mut next = States::default();
            let mut alive = false;
            for at in states.iter() {
                let Some(element) = self.elements.get(at) else {
                    continue;
                };
                let to = match *element {
                    Element::Octet(octet) if octet == byte => at + 1,
                    Element::One if byte != b'/' => at + 1,
                    Element::Run if byte != b'/' => at,
                    Element::AnyRun => at,
                    _ => continue,
                };
                alive = true;
                self.enter(&mut next, to);
            }
            if !alive {
                return false;
            }
            states = next;
        }
        states.contains(self.elements.len())
    }

    /// Adds a state and those that follow it without an octet.
    fn enter(&self, states: &mut States, mut at: usize) {
        states.insert(at);
        while let Some(Element::Run | Element::AnyRun) = self.elements.get(at) {
            at += 1;
            states.insert(at);
        }
    }
}

/// A set of positions in a pattern.
#[derive(Default, Clone)]
struct States {
    words: [u64; WORDS],
    used: usize,
}

impl States {
    fn insert(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / 64) {
            *word |= 1 << (at % 64);
            self.used = self.used.max(at / 64 + 1);
        }
    }

    fn contains(&self, at: usize) -> bool {
        self.words
            .get(at / 64)
            .is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.words
            .iter()
            .take(self.used)
            .enumerate()
            .flat_map(|(index, &word)| Bits(word).map(move |bit| index * 64 + bit))
    }
}

struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let bit = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn path_patterns() {
        let check = |pattern: &str, path: &str, expected: bool| {
            assert_eq!(
                Glob::of_path(pattern).unwrap().matches(path.as_bytes()),
                expected,
                "{pattern} on {path}"
            );
        };
        check("/img/*/large", "/img/cat/large", true);
        check("/img/*/large", "/img//large", true);
        check("/img/*/large", "/img/cat/dog/large", false);
        check("/img/**/large", "/img/cat/dog/large", true);
        check("*.css", "/a.css", true);
        check("*.css", "/deep/down/a.css", true);
        check("*.css", "/a.css/b", false);
        check("/*.css", "/deep/a.css", false);
        check("/v?/x", "/v1/x", true);
        check("/v?/x", "/v//x", false);
        check("/v?/x", "/v12/x", false);
        check("/**/a/*", "/x/a/y/a/z", true);
        check("/**/a/*b", "/a/cb", false);
        check("**/a/*b", "/a/cb", true);
        check("/a**", "/a", true);
        check("/a**", "/a/b/c", true);
        check("/exact", "/exact", true);
        check("/exact", "/exact/", false);
        check("/a.b", "/axb", false);
        check("/***/b", "/x/y/b", true);
        // A failed `*` must give way to the `**` before it.
        check("/**x*y", "/x/xay", true);
    }

    #[test]
    fn value_patterns() {
        let check = |pattern: &str, value: &str, expected: bool| {
            assert_eq!(
                Glob::of_value(pattern).unwrap().matches(value.as_bytes()),
                expected,
                "{pattern} on {value}"
            );
        };
        check("Mozilla/*", "Mozilla/5.0 (X11)", true);
        check("*bot*", "Googlebot/2.1", true);
        check("a?c", "abc", false);
        check("a?c", "a?c", true);
        check("", "", true);
        check("", "x", false);
    }

    #[test]
    fn a_pattern_beyond_the_bound_is_refused() {
        assert!(Glob::of_path(&format!("/{}", "a".repeat(ELEMENTS_MAX - 1))).is_ok());
        assert!(Glob::of_path(&format!("/{}", "a".repeat(ELEMENTS_MAX))).is_err());
    }

    #[test]
    fn a_hostile_pattern_costs_length_times_length() {
        let glob = Glob::of_path(&format!("/{}b", "*a".repeat(500))).unwrap();
        assert!(!glob.matches(format!("/{}", "a".repeat(8_000)).as_bytes()));
    }

    /// The meaning of a pattern, spelled out by trying everything.
    fn by_trying(elements: &[Element], text: &[u8]) -> bool {
        match (elements, text) {
            ([], text) => text.is_empty(),
            ([Element::Octet(octet), rest @ ..], [byte, after @ ..]) => {
                octet == byte && by_trying(rest, after)
            }
            ([Element::One, rest @ ..], [byte, after @ ..]) => {
                *byte != b'/' && by_trying(rest, after)
            }
            ([Element::Octet(_) | Element::One, ..], []) => false,
            ([Element::Run | Element::AnyRun, rest @ ..], []) => by_trying(rest, &[]),
            ([run, rest @ ..], [byte, after @ ..]) => {
                by_trying(rest, text)
                    || ((*run == Element::AnyRun || *byte != b'/') && by_trying(elements, after))
            }
        }
    }

    proptest! {
        #[test]
        fn matches_what_trying_everything_matches(pattern in "/[ab/*?]{0,8}", path in "/[ab/]{0,10}") {
            let glob = Glob::of_path(&pattern).unwrap();
            let mut elements: Vec<_> = glob.literal.iter().map(|&byte| Element::Octet(byte)).collect();
            elements.extend(&glob.elements);
            prop_assert_eq!(glob.matches(path.as_bytes()), by_trying(&elements, path.as_bytes()));
        }
    }
}
