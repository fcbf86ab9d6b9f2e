//! What is wrong with a request.

use std::fmt;

macro_rules! violations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal, $what:literal, $remedy:literal;)*) => {
        /// Why a request is refused. Each ends its connection: where the next request would begin is no longer certain.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Violation {
            $($(#[$doc])* $variant,)*
        }

        impl Violation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name: records, metrics and problem types carry it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The status to answer.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What is wrong, for people.
            pub fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }

            /// What the sender should do instead.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

violations! {
    // --- lines
    /// A line ends with LF alone (RFC 9112 §2.2).
    BareLf = "bare_lf", 400, "A line ends with a bare LF.", "End each line with CR LF.";
    /// CR that no LF follows (RFC 9112 §2.2).
    BareCr = "bare_cr", 400, "A CR stands without its LF.", "End each line with CR LF, and send no CR elsewhere.";
    /// More than one empty line before the request line.
    EmptyLines = "empty_lines", 400, "Empty lines stand before the request line.", "Begin with the request line.";

    // --- request line (RFC 9112 §3)
    /// Not `method SP target SP version`.
    BadRequestLine = "bad_request_line", 400, "The request line is not a method, a target and a version with one space between each.", "Write it as RFC 9112 §3 has it.";
    /// A method that is no token.
    BadMethod = "bad_method", 400, "The method is not a token.", "Use letters, as in GET.";
    /// A method longer than any.
    LongMethod = "long_method", 501, "The method is longer than any that is known.", "Use a method that is registered.";
    /// `CONNECT`: this is no tunnel.
    Connect = "connect", 405, "CONNECT asks for a tunnel, and none is made here.", "Ask for a resource of a site.";
    /// A control octet in the target.
    ControlInTarget = "control_in_target", 400, "The target has a control octet.", "Percent-encode it.";
    /// An octet beyond ASCII in the target.
    NonAsciiTarget = "non_ascii_target", 400, "The target has an octet beyond ASCII.", "Percent-encode it.";
    /// `#` in the target.
    FragmentInTarget = "fragment_in_target", 400, "The target has a fragment.", "Leave out the # and what follows it.";
    /// A visible octet that no target may have.
    BadTargetOctet = "bad_target_octet", 400, "The target has an octet that must be percent-encoded.", "Percent-encode it.";
    /// None of the four forms, or one that does not go with the method.
    BadTarget = "bad_target", 400, "The target is not a path with a leading slash, nor another form that goes with the method.", "Begin the target with a slash.";
    /// A target longer than allowed.
    LongTarget = "long_target", 414, "The target is too long.", "Shorten it, or send the data in a body.";
    /// The version is not written as one.
    BadVersion = "bad_version", 400, "The version is not written as HTTP/1.1.", "Send HTTP/1.1.";
    /// Neither HTTP/1.0 nor HTTP/1.1.
    UnsupportedVersion = "unsupported_version", 505, "This version of HTTP is not spoken here.", "Speak HTTP/1.1; HTTP/2 over TLS by ALPN.";
    /// The preface of HTTP/2 (RFC 9113 §3.4), where HTTP/1 is spoken.
    PriorKnowledge = "prior_knowledge", 505, "HTTP/2 is spoken over TLS alone, agreed on by ALPN.", "Speak HTTP/1.1 here, or HTTP/2 over TLS.";
    /// A request line without a version.
    HttpZeroNine = "http_0_9", 505, "The request line has no version.", "Send HTTP/1.1.";

    // --- fields (RFC 9112 §5)
    /// White space before the first field.
    LeadingWhitespace = "leading_whitespace", 400, "White space stands before the first field.", "Begin each field with its name.";
    /// A value that goes on in the next line.
    FoldedLine = "folded_line", 400, "A field goes on in the next line.", "Write each field in one line.";
    /// No name before the colon.
    EmptyName = "empty_name", 400, "A field has no name.", "Write a name before the colon.";
    /// White space between name and colon.
    SpaceBeforeColon = "space_before_colon", 400, "White space stands between a field's name and its colon.", "Put the colon right after the name.";
    /// White space in a name.
    SpaceInName = "space_in_name", 400, "A field's name has white space.", "Use a token as the name.";
    /// A control octet in a name.
    ControlInName = "control_in_name", 400, "A field's name has a control octet.", "Use a token as the name.";
    /// Another octet that no name may have.
    BadName = "bad_name", 400, "A field's name is not a token.", "Use a token as the name.";
    /// A line without a colon.
    NoColon = "no_colon", 400, "A header line has no colon.", "Write each field as name, colon, value.";
    /// A control octet in a value.
    ControlInValue = "control_in_value", 400, "A field's value has a control octet.", "Encode it.";
    /// More fields than allowed.
    ManyFields = "many_fields", 431, "There are too many header fields.", "Send fewer.";
    /// A field longer than allowed.
    LongField = "long_field", 431, "A header field is too long.", "Shorten it; a large cookie is a usual cause.";
    /// A head longer than allowed.
    LongHead = "long_head", 431, "The head is too long.", "Send fewer or shorter fields; large cookies are a usual cause.";

    // --- whom it is for (RFC 9112 §3.2)
    /// HTTP/1.1 without `Host`.
    MissingHost = "missing_host", 400, "There is no Host field.", "Send one.";
    /// Two `Host` fields.
    DuplicateHost = "duplicate_host", 400, "There is more than one Host field.", "Send one.";
    /// `Host` or the target's authority is no host with an optional port.
    BadHost = "bad_host", 400, "The host is not a name or address with an optional port.", "Send the host alone, without user, list or path.";
    /// The target names another host than `Host`.
    HostMismatch = "host_mismatch", 400, "The target and the Host field name different hosts.", "Send the same in both.";

    /// The scheme of the target is not how the client came.
    SchemeMismatch = "scheme_mismatch", 421, "The target's scheme is not the one of this connection.", "Ask for https over TLS, and for http without.";

    // --- what HTTP/2 carries and HTTP/1 can't (RFC 9113 §8.2)
    /// A field that is for one connection alone.
    ConnectionField = "connection_field", 400, "A field is for one connection alone, which HTTP/2 has no place for.", "Leave it out.";
    /// White space around a value.
    BlankAroundValue = "blank_around_value", 400, "White space stands around a field's value.", "Leave it out.";

    // --- how long it is (RFC 9112 §6)
    /// Both lengths.
    BothLengths = "both_lengths", 400, "The length is told by both Content-Length and Transfer-Encoding.", "Send one of them.";
    /// More than one `Content-Length`, even when equal.
    DuplicateLength = "duplicate_length", 400, "There is more than one Content-Length.", "Send one.";
    /// Not digits alone.
    BadLength = "bad_length", 400, "The Content-Length is not a number.", "Send decimal digits alone.";
    /// More than 63 bits.
    LargeLength = "large_length", 400, "The Content-Length is larger than any body.", "Send the real length.";
    /// `Transfer-Encoding` with HTTP/1.0.
    CodingInOldVersion = "coding_in_old_version", 400, "HTTP/1.0 knows no Transfer-Encoding.", "Send HTTP/1.1, or a Content-Length.";
    /// More than one `Transfer-Encoding`.
    DuplicateCoding = "duplicate_coding", 400, "There is more than one Transfer-Encoding.", "Send `Transfer-Encoding: chunked` once.";
    /// Something else than `chunked`.
    BadCoding = "bad_coding", 400, "The Transfer-Encoding is not `chunked`.", "Send `Transfer-Encoding: chunked`.";
    /// Another coding before `chunked`.
    UnknownCoding = "unknown_coding", 501, "The Transfer-Encoding has another coding than `chunked`.", "Send `Transfer-Encoding: chunked` alone.";
    /// `Expect` of something else than `100-continue`.
    UnknownExpectation = "unknown_expectation", 417, "The expectation is not `100-continue`.", "Leave out the Expect field.";

    // --- chunks (RFC 9112 §7.1)
    /// Not hexadecimal digits alone.
    BadChunkSize = "bad_chunk_size", 400, "The size of a chunk is not hexadecimal digits alone.", "Send hexadecimal digits alone.";
    /// More digits than any chunk needs.
    LargeChunkSize = "large_chunk_size", 400, "The size of a chunk is larger than any body.", "Send smaller chunks.";
    /// An extension that is none.
    BadChunkExtension = "bad_chunk_extension", 400, "A chunk extension is not `;name=value`.", "Send none.";
    /// Extensions longer than allowed.
    LongChunkExtension = "long_chunk_extension", 400, "The chunk extensions are too long.", "Send none.";
    /// The data of a chunk goes on beyond its size.
    BadChunkEnd = "bad_chunk_end", 400, "No CR LF follows the data of a chunk.", "Send as many octets as the size says, then CR LF.";

    // --- trailers (RFC 9110 §6.5)
    /// A field that must not stand there.
    ForbiddenTrailer = "forbidden_trailer", 400, "A trailer frames, routes or authorises the message.", "Send that field in the head.";
    /// More trailers than allowed.
    ManyTrailers = "many_trailers", 431, "There are too many trailers.", "Send fewer.";
    /// Trailers longer than allowed.
    LongTrailers = "long_trailers", 431, "The trailers are too long.", "Send shorter ones.";
}

impl Violation {
    /// What is wrong and what to do, for the answer.
    pub fn advice(self) -> String {
        format!("{} {}", self.what(), self.remedy())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.what())
    }
}

impl std::error::Error for Violation {}
