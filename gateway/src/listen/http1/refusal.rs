//! What is said to a client whose request is refused before anybody else sees it, and what is told of it: the same
//! document, record and count as for any other fault.

use super::{fault_of, line::Line};
use crate::{
    edge::Edge,
    errors::{self, Fault},
    listen::untaken,
    observe::{Course, RequestLabels},
    request_id,
};
use bytes::{BufMut as _, BytesMut};
use latencify_conf::record::{AccessRecord, CacheOutcome, HEADER_CHARACTERS_MAX};
use latencify_framing::{Head, HeadReader, Violation};
use std::{
    borrow::Cow,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::{io::AsyncWriteExt as _, time::timeout};

/// So long a client may take to take the answer.
const WRITE_TIME_MAX: Duration = Duration::from_secs(5);
/// What a record carries of a path that nobody has checked.
const PATH_CHARACTERS_MAX: usize = 1_024;

/// A request that is refused, and as much of it as can be told.
pub(super) struct Refusal {
    fault: Fault,
    /// More exactly.
    kind: &'static str,
    /// For the client.
    detail: String,
    /// Whether the client waits for an answer: it has sent something.
    answered: bool,
    id: String,
    began: Instant,
    peer: IpAddr,
    secure: bool,
    method: String,
    host: String,
    path: String,
    query: Option<String>,
    accept: Option<String>,
    user_agent: Option<String>,
    referer: Option<String>,
}

impl Refusal {
    /// Of a head that was not read to its end.
    pub(super) fn of(violation: Violation, reader: &HeadReader, line: &Line) -> Self {
        let mut refusal = Self::unread(reader, line);
        refusal.violates(violation);
        refusal
    }

    /// Of a head that did not come in time. One that has not even begun is not answered: nobody waits for it.
    pub(super) fn late(reader: &HeadReader, line: &Line) -> Self {
        let mut refusal = Self::unread(reader, line);
        refusal.answered = line
            .pending
            .iter()
            .any(|octet| !octet.is_ascii_whitespace());
        refusal.detail = "The head did not come in time. Send it at once.".into();
        refusal
    }

    /// Of a whole head.
    pub(super) fn of_head(violation: Violation, head: &Head, octets: &[u8], line: &Line) -> Self {
        let part = |(from, to): (usize, usize)| {
            octets
                .get(from - head.skip..to - head.skip)
                .unwrap_or_default()
        };
        let mut refusal = Self::new(line, part(head.method), part(head.target), octets);
        refusal.host = text(head.host.map(part).unwrap_or_default());
        refusal.violates(violation);
        refusal
    }

    fn unread(reader: &HeadReader, line: &Line) -> Self {
        let (method, target) = reader.request_line(&line.pending);
        let seen = line.pending.get(..reader.looked_at()).unwrap_or_default();
        let mut refusal = Self::new(line, method, target, seen);
        refusal.host = text(reader.host(&line.pending).unwrap_or_default());
        refusal
    }

    fn new(line: &Line, method: &[u8], target: &[u8], seen: &[u8]) -> Self {
        let target = text(target);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (target, None),
        };
        Self {
            fault: Fault::RequestTimeout,
            kind: Fault::RequestTimeout.name(),
            detail: String::new(),
            answered: true,
            id: request_id::new(SystemTime::now()),
            began: Instant::now(),
            peer: untaken::peer_address(&*line.stream),
            secure: line.is_secure(),
            method: text(method),
            host: String::new(),
            path,
            query,
            accept: field(seen, "accept"),
            user_agent: field(seen, "user-agent"),
            referer: field(seen, "referer"),
        }
    }

    fn violates(&mut self, violation: Violation) {
        self.fault = fault_of(violation);
        self.kind = violation.name();
        self.detail = violation.advice();
    }

    /// Answers, and tells of it.
    pub(super) async fn answer(self, line: &mut Line, edge: Option<&Arc<Edge>>) {
        let body = errors::body(
            self.fault,
            Some(self.kind),
            Some(&self.detail),
            &self.id,
            self.accept.as_deref(),
        );
        let mut bytes_out = 0;
        if self.answered {
            // Nobody is told what has no place: the answer to HEAD has no body.
            let content = if self.method == "HEAD" {
                &[][..]
            } else {
                &body.bytes
            };
            let response = self.response(body.content_type, body.bytes.len(), content);
            let written = async {
                line.stream.write_all(&response).await?;
                line.stream.flush().await
            };
            if matches!(timeout(WRITE_TIME_MAX, written).await, Ok(Ok(()))) {
                bytes_out = content.len() as u64;
            }
        }
        if let Some(edge) = edge {
            self.tell(edge, bytes_out);
        }
    }

    fn response(&self, content_type: &str, length: usize, content: &[u8]) -> BytesMut {
        let status = self.fault.status();
        let head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: {content_type}\r\ncache-control: no-store\r\ncontent-length: {length}\r\n\
             x-request-id: {}\r\ndate: {}\r\nconnection: close\r\n\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            self.id,
            httpdate::fmt_http_date(SystemTime::now()),
        );
        let mut response = BytesMut::with_capacity(head.len() + content.len());
        response.put_slice(head.as_bytes());
        response.put_slice(content);
        response
    }

    fn tell(self, edge: &Edge, bytes_out: u64) {
        edge.metrics.fault(self.fault);
        if self.fault != Fault::RequestTimeout {
            edge.metrics.violation(self.kind);
        }
        let status = if self.answered {
            self.fault.status().as_u16()
        } else {
            0
        };
        let labels = RequestLabels {
            site: "-",
            route: "-",
            status,
            cache: CacheOutcome::None,
        };
        let duration = self.began.elapsed();
        let course = Course {
            duration,
            first_byte: Some(duration),
            bytes: (0, bytes_out),
        };
        edge.metrics.request(labels, &course, None);
        if edge.access_log.is_on() {
            edge.access_log.record(self.record(edge, status, bytes_out));
        }
    }

    fn record(self, edge: &Edge, status: u16, bytes_out: u64) -> AccessRecord<'static> {
        AccessRecord {
            request_id: self.id.into(),
            method: self.method.into(),
            host: self.host.into(),
            path: self.path.into(),
            query: self.query.map(Cow::Owned),
            status,
            bytes_out,
            duration_us: self.began.elapsed().as_micros() as u64,
            error: Some(Cow::Borrowed(self.kind)),
            error_detail: Some(self.detail.into()),
            user_agent: self.user_agent.map(Cow::Owned),
            referer: self.referer.map(Cow::Owned),
            ..untaken::record(edge, self.peer, self.secure)
        }
    }
}

/// The first field of that name among lines that may be broken off: for telling, never for deciding.
fn field(seen: &[u8], name: &str) -> Option<String> {
    let value = seen.split(|octet| *octet == b'\n').find_map(|line| {
        let (start, value) = line.split_at_checked(name.len())?;
        start
            .eq_ignore_ascii_case(name.as_bytes())
            .then(|| value.strip_prefix(b":"))?
    })?;
    let value = String::from_utf8_lossy(value.trim_ascii());
    Some(value.chars().take(HEADER_CHARACTERS_MAX).collect())
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets)
        .chars()
        .take(PATH_CHARACTERS_MAX)
        .collect()
}
