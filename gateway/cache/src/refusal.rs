//! Why something was not stored. None of these fails the client's request.

/// Why something was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// A later fetch has brought its answer already.
    #[error("a later fetch brought its answer first")]
    Older,
    /// It was purged while it was under way.
    #[error("it was purged while it was under way")]
    Purged,
    /// The body has another length than its header announced.
    #[error("the body does not have the length that its header announced")]
    WrongLength,
    /// The body is larger than its route or the cache allows for one object.
    #[error("the body is too large for one object")]
    TooLarge,
    /// Nothing could be evicted to make room.
    #[error("there is no room, and nothing to evict")]
    NoRoom,
    /// Enough fetches for this key are under way.
    #[error("enough fetches for this key are under way")]
    TooManyFills,
    /// The body that a validation was about is no longer stored.
    #[error("the body that was validated is no longer stored")]
    Gone,
    /// It has more tags than one object may have: a purge of one that was left out would miss it.
    #[error("it has too many tags")]
    TooManyTags,
}

impl Refusal {
    /// All of them, for metrics.
    pub const ALL: [Self; 8] = [
        Self::Older,
        Self::Purged,
        Self::WrongLength,
        Self::TooLarge,
        Self::NoRoom,
        Self::TooManyFills,
        Self::Gone,
        Self::TooManyTags,
    ];

    /// The stable name, as records and metrics show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Older => "older",
            Self::Purged => "purged",
            Self::WrongLength => "wrong_length",
            Self::TooLarge => "too_large",
            Self::NoRoom => "no_room",
            Self::TooManyFills => "too_many_fills",
            Self::Gone => "gone",
            Self::TooManyTags => "too_many_tags",
        }
    }
}
