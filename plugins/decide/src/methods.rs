//! What a method means to a cache.

use http::Method;

/// Registered as safe (RFC 9110 §9.2.1, §18.2; WebDAV's by RFC 4918, RFC 3253 and RFC 5323; QUERY). Every other method may
/// change something, the unknown ones too (RFC 9111 §4.4).
pub fn is_safe(method: &Method) -> bool {
    method.is_safe()
        || matches!(
            method.as_str(),
            "PRI" | "PROPFIND" | "QUERY" | "REPORT" | "SEARCH"
        )
}

/// Whether a stored response may answer it (RFC 9111 §4: GET, and HEAD as §4.3.5 has it). What POST stores under an explicit
/// `Content-Location` (RFC 9110 §9.3.3) is not kept.
pub fn is_answered(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_methods_are_not_safe() {
        let check = |name: &str, safe: bool, answered: bool| {
            let method: Method = name.parse().unwrap();
            assert_eq!(
                (is_safe(&method), is_answered(&method)),
                (safe, answered),
                "{name}"
            );
        };
        check("GET", true, true);
        check("HEAD", true, true);
        check("OPTIONS", true, false);
        check("TRACE", true, false);
        check("PROPFIND", true, false);
        check("QUERY", true, false);
        check("POST", false, false);
        check("PUT", false, false);
        check("DELETE", false, false);
        check("PATCH", false, false);
        check("PURGE", false, false);
        check("M-SEARCH", false, false);
        check("get", false, false);
        check("SECRET", false, false);
    }
}
