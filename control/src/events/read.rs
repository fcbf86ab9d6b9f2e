//! From a Kafka message to an event (CloudEvents Kafka protocol binding §3).

use latencify_conf::event::{Attributes, ContentEvent, EventError};
use rdkafka::message::{Headers as _, Message, OwnedMessage};

/// Reads a message: in binary mode if it has `ce_` headers, else in structured mode.
pub fn read(message: &OwnedMessage) -> Result<ContentEvent, EventError> {
    let payload = message.payload().unwrap_or_default();
    if header(message, "ce_specversion").is_none() {
        return ContentEvent::from_structured(payload);
    }
    let attributes = Attributes {
        specversion: header(message, "ce_specversion"),
        id: header(message, "ce_id"),
        source: header(message, "ce_source"),
        kind: header(message, "ce_type"),
        datacontenttype: header(message, "content-type"),
    };
    ContentEvent::from_binary(&attributes, payload)
}

fn header<'a>(message: &'a OwnedMessage, name: &str) -> Option<&'a str> {
    let headers = message.headers()?;
    let found = headers
        .iter()
        .find(|header| header.key.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::{
        Timestamp,
        message::{Header, OwnedHeaders},
    };

    fn message(payload: &str, headers: &[(&str, &str)]) -> OwnedMessage {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(*value),
                })
            });
        let payload = Some(payload.as_bytes().to_vec());
        OwnedMessage::new(
            payload,
            None,
            "events".into(),
            Timestamp::NotAvailable,
            0,
            0,
            Some(headers),
        )
    }

    #[test]
    fn both_modes_are_read() {
        let structured = r#"{"specversion":"1.0","id":"1","source":"/a","type":"com.latencify.content.updated","data":{"tags":["x"]}}"#;
        let binary = [
            ("ce_specversion", "1.0"),
            ("ce_id", "1"),
            ("ce_source", "/a"),
            ("ce_type", "com.latencify.content.updated"),
            ("content-type", "application/json"),
        ];
        let expected = read(&message(structured, &[])).unwrap();
        assert_eq!(
            read(&message(r#"{"tags":["x"]}"#, &binary)).unwrap(),
            expected
        );
        assert_eq!(
            read(&message("poison", &[])).unwrap_err().as_str(),
            "not_an_event"
        );
        assert_eq!(
            read(&message("{}", &binary[..1])).unwrap_err().as_str(),
            "attribute_missing"
        );
    }
}
