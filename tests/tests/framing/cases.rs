//! Heads that no request may have.

/// A bad request: its status, its name, its octets. `@` stands for a path that belongs to the case.
pub type Case = (u16, &'static str, &'static str);

pub const CASES: &[Case] = &[
    (400, "bare_lf", "GET @ HTTP/1.1\nHost: shop.example\n\n"),
    (
        400,
        "bare_lf",
        "GET @ HTTP/1.1\r\nHost: shop.example\nX: a\r\n\r\n",
    ),
    (
        400,
        "bare_cr",
        "GET @ HTTP/1.1\r\nHost: shop.example\rX: a\r\n\r\n",
    ),
    (400, "bare_cr", "GET @ HTTP/1.1\rHost: shop.example\r\n\r\n"),
    (
        400,
        "empty_lines",
        "\r\n\r\nGET @ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_request_line",
        "GET  @ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_request_line",
        "GET @ HTTP/1.1 \r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_request_line",
        "GET @ x HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_method",
        "G\0ET @ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        501,
        "long_method",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ @ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        405,
        "connect",
        "CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\n\r\n",
    ),
    (
        400,
        "control_in_target",
        "GET @\0 HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "control_in_target",
        "GET @\x0b HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "non_ascii_target",
        "GET @\u{e9} HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "fragment_in_target",
        "GET @#x HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_target_octet",
        "GET @<x> HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_target",
        "GET france HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_target",
        "GET * HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_target",
        "GET shop.example:80 HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_target",
        "GET ftp://shop.example@ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_version",
        "GET @ http/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        505,
        "unsupported_version",
        "GET @ HTTP/1.2\r\nHost: shop.example\r\n\r\n",
    ),
    (
        505,
        "unsupported_version",
        "GET @ HTTP/3.0\r\nHost: shop.example\r\n\r\n",
    ),
    (505, "prior_knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (505, "http_0_9", "GET @\r\n\r\n"),
    (
        400,
        "leading_whitespace",
        "GET @ HTTP/1.1\r\n Host: shop.example\r\n\r\n",
    ),
    (
        400,
        "folded_line",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nX: a\r\n b\r\n\r\n",
    ),
    (
        400,
        "folded_line",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\n\tTransfer-Encoding: chunked\r\n\r\n",
    ),
    (
        400,
        "empty_name",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\n: a\r\n\r\n",
    ),
    (
        400,
        "space_before_colon",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length : 5\r\n\r\n",
    ),
    (
        400,
        "space_in_name",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nX Y: a\r\n\r\n",
    ),
    (
        400,
        "control_in_name",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nX\0: a\r\n\r\n",
    ),
    (
        400,
        "bad_name",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding\u{e9}: chunked\r\n\r\n",
    ),
    (
        400,
        "bad_name",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nX(y): a\r\n\r\n",
    ),
    (
        400,
        "no_colon",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nX\r\n\r\n",
    ),
    (
        400,
        "control_in_value",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nX: a\0b\r\n\r\n",
    ),
    (
        400,
        "control_in_value",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding:\x0bchunked\r\n\r\n",
    ),
    (400, "missing_host", "GET @ HTTP/1.1\r\n\r\n"),
    (
        400,
        "duplicate_host",
        "GET @ HTTP/1.1\r\nHost: shop.example\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "bad_host",
        "GET @ HTTP/1.1\r\nHost: shop.example, other.example\r\n\r\n",
    ),
    (
        400,
        "bad_host",
        "GET @ HTTP/1.1\r\nHost: user@shop.example\r\n\r\n",
    ),
    (400, "bad_host", "GET @ HTTP/1.1\r\nHost:\r\n\r\n"),
    (
        400,
        "host_mismatch",
        "GET http://other.example@ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "host_mismatch",
        "GET http://shop.example:81@ HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    ),
    (
        400,
        "both_lengths",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "both_lengths",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "duplicate_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        400,
        "duplicate_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5, 5\r\n\r\nhello",
    ),
    (
        400,
        "bad_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: +5\r\n\r\nhello",
    ),
    (
        400,
        "bad_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: -5\r\n\r\nhello",
    ),
    (
        400,
        "bad_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 5 5\r\n\r\nhello",
    ),
    (
        400,
        "bad_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length:\r\n\r\nhello",
    ),
    (
        400,
        "large_length",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
    ),
    (
        400,
        "coding_in_old_version",
        "POST @ HTTP/1.0\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "duplicate_coding",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "bad_coding",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "bad_coding",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ),
    (
        400,
        "bad_coding",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    ),
    (
        501,
        "unknown_coding",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        417,
        "unknown_expectation",
        "POST @ HTTP/1.1\r\nHost: shop.example\r\nExpect: magic\r\nContent-Length: 5\r\n\r\nhello",
    ),
];
