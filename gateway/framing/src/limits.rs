//! How much a request may bring.

/// The bounds of a head and of what frames a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Header fields of a head.
    pub fields: usize,
    /// Octets of a head, from its request line to the empty line.
    pub head_bytes: usize,
    /// Octets of one field line.
    pub field_bytes: usize,
    /// Octets of a target.
    pub target_bytes: usize,
    /// Octets of the extensions of one chunk.
    pub chunk_extension_bytes: usize,
    /// Octets of all chunk extensions of a body: many tiny chunks with large extensions are an attack, not a body.
    pub body_extension_bytes: usize,
    /// Trailer fields.
    pub trailer_fields: usize,
    /// Octets of all trailers.
    pub trailer_bytes: usize,
}

impl Limits {
    /// Of what frames the body of a response.
    pub(crate) fn of_response() -> Self {
        Self {
            body_extension_bytes: usize::MAX,
            // Their octets bound them.
            trailer_fields: usize::MAX,
            trailer_bytes: 64 << 10,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fields: 100,
            head_bytes: 64 << 10,
            field_bytes: 32 << 10,
            target_bytes: 16 << 10,
            chunk_extension_bytes: 256,
            body_extension_bytes: 16 << 10,
            trailer_fields: 32,
            trailer_bytes: 8 << 10,
        }
    }
}
