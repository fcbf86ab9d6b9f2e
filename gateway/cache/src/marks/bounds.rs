//! How many marks are kept. Beyond that they become wider ones: too much may go, never too little.

/// The deepest prefix that has a mark of its own, in segments; a deeper one is widened to this depth, so that a
/// look-up walks no further on a path of a thousand slashes.
pub const PREFIX_SEGMENTS_MAX: usize = 32;

/// How many marks are kept, and how many bytes of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkBounds {
    /// The most marks on URLs, prefixes and tags of one site; one more widens some of them, to half as many.
    pub marks_per_site: usize,
    /// The most bytes of those marks of one site. Names are as long as whoever purges likes.
    pub bytes_per_site: usize,
    /// The most bytes of such marks of all sites; more widen those of the site that has the most, until they fit.
    pub bytes: usize,
    /// The most sites that have marks; one more widens all of them to everything.
    pub sites: usize,
}

impl Default for MarkBounds {
    fn default() -> Self {
        Self {
            marks_per_site: 100_000,
            bytes_per_site: 32 << 20,
            bytes: 128 << 20,
            sites: 10_000,
        }
    }
}
