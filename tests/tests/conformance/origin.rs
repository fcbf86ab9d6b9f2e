//! An origin that answers by a script, octet by octet, and remembers what it was asked.

use super::case::{Answer, End};
use latencify_tests::RawOrigin;
use parking_lot::Mutex;
use std::{collections::HashMap, fmt::Write as _, io, sync::Arc, time::SystemTime};
use time::{Duration, OffsetDateTime, macros::format_description};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// An origin by script.
pub struct Scripted {
    origin: RawOrigin,
    paths: Paths,
}

/// What is answered and was asked, by path.
type Paths = Arc<Mutex<HashMap<String, Script>>>;

#[derive(Default)]
struct Script {
    answers: Vec<Answer>,
    asked: Vec<Asked>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its fields: lower case names.
    pub fields: Vec<(String, String)>,
}

impl Scripted {
    /// Listens.
    pub async fn serve() -> Self {
        let paths = Paths::default();
        let scripts = Arc::clone(&paths);
        let origin = RawOrigin::serve(move |stream| converse(stream, Arc::clone(&scripts))).await;
        Self { origin, paths }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.origin.url()
    }

    /// Answers so at a path.
    pub fn script(&self, path: String, answers: Vec<Answer>) {
        self.paths.lock().entry(path).or_default().answers = answers;
    }

    /// What was asked at a path.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        let paths = self.paths.lock();
        paths
            .get(path)
            .map_or_else(Vec::new, |script| script.asked.clone())
    }
}

async fn converse(mut stream: TcpStream, paths: Paths) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let head = RawOrigin::head(&mut stream).await?;
        let (request_line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
        let mut words = request_line.split(' ');
        let (method, target) = (
            words.next().unwrap_or_default().to_owned(),
            words.next().unwrap_or_default().to_owned(),
        );
        let fields: Vec<_> = fields
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = fields.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, length)| length.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;

        let path = target.split('?').next().unwrap_or_default().to_owned();
        let (answer, number) = {
            let mut paths = paths.lock();
            let script = paths.entry(path.clone()).or_default();
            let method = method.clone();
            script.asked.push(Asked { method, fields });
            let number = script.asked.len();
            // Who closes instead of answering goes on doing so, however often it is asked.
            let closes = script
                .answers
                .last()
                .filter(|last| last.end == End::Nothing);
            let answer = script.answers.get(number - 1).or(closes).cloned();
            (answer, number)
        };
        let answer = answer.unwrap_or_else(|| {
            super::case::status(599, "cache-control: no-store").body("nobody wrote this answer")
        });
        for (status, fields) in &answer.interim {
            let head = format!("HTTP/1.1 {status} Interim\r\n{fields}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
        }
        if answer.end == End::Nothing {
            return Ok(());
        }
        let written = written(&answer, number, &path, method == "HEAD");
        stream.write_all(written.as_bytes()).await?;
        if answer.end == End::Short {
            return Ok(());
        }
    }
}

/// The answer as octets.
fn written(answer: &Answer, number: usize, path: &str, is_head: bool) -> String {
    let says = |name: &str| {
        let mut names = answer.fields.iter().map(|(name, _)| name);
        names.any(|known| known.eq_ignore_ascii_case(name))
    };
    let own = format!("answer {number}");
    let body = answer.body.as_deref().unwrap_or(&own);
    let mut text = format!("HTTP/1.1 {} Scripted\r\n", answer.status);
    if answer.dated && !says("date") {
        // Writing to a String does not fail.
        let _ = write!(text, "Date: {}\r\n", filled("{now}", path));
    }
    for (name, value) in &answer.fields {
        let _ = write!(text, "{name}: {}\r\n", filled(value, path));
    }
    let has_body = !matches!(answer.status, 204 | 304);
    if has_body && !says("content-length") && !says("transfer-encoding") {
        let short = usize::from(answer.end == End::Short);
        let _ = write!(text, "Content-Length: {}\r\n", body.len() + short);
    }
    text.push_str("\r\n");
    if has_body && !is_head {
        text.push_str(body);
    }
    text
}

/// A value whose places are filled in: `{path}` is the path that is answered, without its last segment where the case has
/// others beside it; `{now-60}` a minute ago, also as `{rfc850…}` and `{asctime…}`.
pub fn filled(value: &str, path: &str) -> String {
    let mut text = value.replace("{path}", path);
    for (kind, form) in [
        ("{now", Form::Imf),
        ("{rfc850", Form::Rfc850),
        ("{asctime", Form::Asctime),
    ] {
        while let Some(at) = text.find(kind) {
            let end = at + text[at..].find('}').expect("a place ends with a brace");
            let seconds = &text[at + kind.len()..end];
            let seconds: i64 = if seconds.is_empty() {
                0
            } else {
                seconds.parse().expect("seconds from now")
            };
            let date = date(seconds, form);
            text.replace_range(at..=end, &date);
        }
    }
    text
}

#[derive(Clone, Copy)]
enum Form {
    Imf,
    Rfc850,
    Asctime,
}

fn date(seconds: i64, form: Form) -> String {
    let at = OffsetDateTime::from(SystemTime::now()) + Duration::seconds(seconds);
    let written = match form {
        Form::Imf => at.format(format_description!(
            "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
        )),
        Form::Rfc850 => at.format(format_description!(
            "[weekday], [day]-[month repr:short]-[year repr:last_two] [hour]:[minute]:[second] GMT"
        )),
        Form::Asctime => at.format(format_description!(
            "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
        )),
    };
    written.expect("a date has these parts")
}
