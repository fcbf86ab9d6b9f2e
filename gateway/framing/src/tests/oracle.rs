//! Against others: what httparse refuses is refused here, and what is accepted here is read alike by it and by a reader
//! that splits lines.

use super::read_head;
use crate::Limits;
use proptest::prelude::*;

type Fields = Vec<(String, Vec<u8>)>;

fn by_httparse(input: &[u8]) -> Result<Option<(usize, String, String, Fields)>, httparse::Error> {
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(end) = request.parse(input)? else {
        return Ok(None);
    };
    let fields = request
        .headers
        .iter()
        .map(|field| (field.name.to_owned(), field.value.to_vec()));
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Ok(Some((
        end,
        text(request.method),
        text(request.path),
        fields.collect(),
    )))
}

/// Splits at CR LF, then at the first space and colon: right for whatever is well-formed.
fn by_splitting(head: &[u8]) -> (String, String, Fields) {
    let text = String::from_utf8_lossy(head).into_owned();
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (
        first.next().unwrap_or_default(),
        first.next().unwrap_or_default(),
    );
    let fields = lines.filter_map(|line| line.split_once(':'));
    let fields = fields.map(|(name, value)| {
        (
            name.to_owned(),
            value.trim_matches([' ', '\t']).as_bytes().to_vec(),
        )
    });
    (method.to_owned(), target.to_owned(), fields.collect())
}

fn head() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => "[A-Za-z-]{1,10}:[ \t]{0,2}[!-~]{0,12}[ \t]{0,2}\r\n",
        1 => Just("Content-Length: 7\r\n".to_owned()),
        1 => "[ -~]{0,10}\r\n",
        1 => "[A-Z]{1,5}:[ -~]{0,5}\r?\n",
        1 => "\\PC{0,6}\r\n",
    ];
    let first = prop_oneof![
        4 => "[A-Z]{1,7} /[!-~]{0,12} HTTP/1\\.[01]\r\n",
        1 => "[ -~]{0,20}\r\n",
    ];
    (first, prop::collection::vec(line, 0..6))
        .prop_map(|(first, lines)| format!("{first}Host: a\r\n{}\r\n", lines.concat()).into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn nothing_is_accepted_that_another_parser_refuses_or_reads_differently(input in head()) {
        let ours = read_head(&input, Limits::default(), std::iter::empty());
        let Ok(Some(ours)) = ours else { return Ok(()) };
        let text = |(from, to): (usize, usize)| String::from_utf8_lossy(&input[from..to]).into_owned();
        let theirs = by_httparse(&input);
        prop_assert!(matches!(theirs, Ok(Some(_))), "httparse: {:?}", theirs);
        let (end, method, target, fields) = theirs.unwrap().unwrap();
        prop_assert_eq!(end, ours.end);
        prop_assert_eq!((&method, &target), (&text(ours.method), &text(ours.target)));
        prop_assert_eq!(fields.len(), ours.fields);
        let (naive_method, naive_target, naive_fields) = by_splitting(&input[..ours.end]);
        prop_assert_eq!((naive_method, naive_target), (method, target));
        // httparse keeps octets; the naive reader keeps text.
        let lossy: Fields = fields.iter().map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned().into_bytes())).collect();
        prop_assert_eq!(naive_fields, lossy);
    }
}
