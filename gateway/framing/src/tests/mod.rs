//! What is accepted, what is refused and by which name, however the octets are cut.

mod bodies;
mod heads;
mod laws;
mod meaning;
mod oracle;

use crate::{BodyReader, Framing, Head, HeadReader, Limits, Violation};

/// The head of `input`, fed in pieces that end at `cuts`.
fn read_head(
    input: &[u8],
    limits: Limits,
    cuts: impl Iterator<Item = usize>,
) -> Result<Option<Head>, Violation> {
    let mut reader = HeadReader::new(limits);
    for cut in cuts.chain([input.len()]) {
        if let Some(head) = reader.read(&input[..cut])? {
            return Ok(Some(head));
        }
    }
    Ok(None)
}

/// The same, whatever the pieces: whole, octet by octet, and cut in two at every place.
fn head_of(input: &[u8], limits: Limits) -> Result<Option<Head>, Violation> {
    let whole = read_head(input, limits, std::iter::empty());
    let told = || String::from_utf8_lossy(&input[..input.len().min(200)]).into_owned();
    assert_eq!(
        read_head(input, limits, 1..input.len()),
        whole,
        "octet by octet: {:?}",
        told()
    );
    let step = (input.len() / 2_000).max(1);
    for cut in (1..input.len()).step_by(step) {
        assert_eq!(
            read_head(input, limits, [cut].into_iter()),
            whole,
            "cut at {cut}: {:?}",
            told()
        );
    }
    whole
}

/// What passes of a body, and how many octets belong to it; none: it has not ended.
type Passed = (Vec<u8>, Option<usize>);

fn read_body(
    input: &[u8],
    framing: Framing,
    limits: Limits,
    cuts: impl Iterator<Item = usize>,
) -> Result<Passed, Violation> {
    let mut reader = BodyReader::new(framing, limits);
    let (mut passed, mut from) = (Vec::new(), 0);
    for cut in cuts.chain([input.len()]) {
        let mut piece = input[from..cut].to_vec();
        let filtered = reader.filter(&mut piece)?;
        passed.extend_from_slice(&piece[..filtered.kept]);
        from += filtered.taken;
        if reader.is_done() {
            return Ok((passed, Some(from)));
        }
    }
    Ok((passed, None))
}

/// The same, whatever the pieces.
fn body_of(input: &[u8], framing: Framing, limits: Limits) -> Result<Passed, Violation> {
    let whole = read_body(input, framing, limits, std::iter::empty());
    let told = || String::from_utf8_lossy(input).into_owned();
    assert_eq!(
        read_body(input, framing, limits, 1..input.len()),
        whole,
        "octet by octet: {:?}",
        told()
    );
    for cut in 1..input.len() {
        assert_eq!(
            read_body(input, framing, limits, [cut].into_iter()),
            whole,
            "cut at {cut}: {:?}",
            told()
        );
    }
    whole
}
