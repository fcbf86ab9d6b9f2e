//! Errors for people: what is wrong, where, and what to do; policy errors as compilers show theirs.

use super::printable;
use crate::failure::Failure;
use latencify_conf::{
    api::{PolicyError, Problem},
    validate,
};
use std::{fmt::Write as _, path::Path};

/// A failure in words.
pub fn failure(failure: &Failure) -> String {
    match failure {
        Failure::Usage { message, help } | Failure::Failed { message, help } => {
            sentence(message, help.as_deref())
        }
        Failure::PolicyInvalid { errors, folder } => policy_errors(errors, folder),
        Failure::Refused(refusal) => problem(refusal),
        Failure::Answered => String::new(),
    }
}

fn sentence(message: &str, help: Option<&str>) -> String {
    let mut text = format!("error: {}\n", printable(message));
    if let Some(help) = help {
        let _ = writeln!(text, " help: {}", printable(help));
    }
    text
}

fn problem(problem: &Problem) -> String {
    let mut text = String::new();
    if !problem.errors.is_empty() {
        text = policy_errors(&problem.errors, Path::new(""));
    }
    let _ = writeln!(
        text,
        "error: control answered {}: {}",
        problem.status,
        printable(&problem.title)
    );
    if let Some(detail) = &problem.detail {
        let _ = writeln!(text, "  {}", printable(detail).replace('\n', "\n  "));
    }
    if problem.status == 401 {
        text.push_str(" help: log in (latencify login USER), pass --token-file FILE or set LATENCIFY_API_TOKEN; control prints a token at its first start\n");
    }
    if let Some(id) = &problem.request_id {
        let _ = writeln!(text, "  request id: {}", printable(id));
    }
    text
}

/// All errors of a policy, each with its place, line and remedy, then their number.
fn policy_errors(errors: &[PolicyError], folder: &Path) -> String {
    let clean = |error: &PolicyError| PolicyError {
        file: if error.file.is_empty() {
            String::new()
        } else {
            printable(&folder.join(&error.file).to_string_lossy())
        },
        path: printable(&error.path),
        message: printable(&error.message),
        help: error.help.as_deref().map(printable),
        snippet: error.snippet.as_deref().map(printable),
        ..error.clone()
    };
    validate::render(&errors.iter().map(clean).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str, snippet: &str) -> PolicyError {
        PolicyError {
            file: "shop.yaml".into(),
            line: 12,
            column: 5,
            path: "sites.shop.routes[0]".into(),
            message: message.into(),
            help: Some("did you mean `cache`?".into()),
            snippet: Some(snippet.into()),
        }
    }

    #[test]
    fn places_start_where_the_user_stands() {
        let shown = policy_errors(
            &[error("unknown key `cahce`", "    cahce: true")],
            Path::new("conf"),
        );
        assert!(
            shown.contains("conf/shop.yaml:12:5") && shown.contains("did you mean `cache`?"),
            "{shown}"
        );
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let hostile = [error("\u{1b}[2J", "\u{1b}]0;x\u{7}")];
        assert!(!policy_errors(&hostile, Path::new("")).contains(['\u{1b}', '\u{7}']));
    }

    #[test]
    fn a_problem_shows_all_that_the_server_said() {
        let shown = problem(&Problem {
            kind: "/problems/unauthorized".into(),
            title: "No valid token".into(),
            status: 401,
            detail: Some("first\nsecond".into()),
            request_id: Some("r-1".into()),
            retryable: false,
            errors: Vec::new(),
        });
        for part in [
            "401: No valid token",
            "  first\n  second\n",
            "LATENCIFY_API_TOKEN",
            "request id: r-1",
        ] {
            assert!(shown.contains(part), "{part:?} is not in {shown}");
        }
    }
}
