//! What to try, once all runs.

use super::record::Record;
use std::fmt::Write as _;

/// The words that `latencify dev` ends its start with; every command works as written.
pub fn text(record: &Record) -> String {
    let mut text = String::new();
    for taken in &record.taken {
        let _ = writeln!(
            text,
            "{taken} is taken by another program; a free port serves instead"
        );
    }
    let _ = writeln!(
        text,
        "A small CDN runs. Ctrl-C ends it; its logs lie in {}.\n",
        record.dir.join("logs").display()
    );
    let _ = writeln!(text, "  control    {}", record.server);
    for edge in &record.edges {
        let _ = writeln!(
            text,
            "  {:<10} {}   https://{}   pid {}",
            edge.name,
            edge.url(),
            edge.tls(),
            edge.pid
        );
    }
    for (place, address) in &record.origins {
        let _ = writeln!(text, "  origin     http://{address}   in {place}");
    }
    if let Some(kafka) = record.kafka {
        let _ = writeln!(
            text,
            "  kafka      {kafka}   topics latencify.changes, latencify.events"
        );
    }
    let _ = write!(
        text,
        "\nIn another terminal:\n\n  . {}{TRY}",
        record.env.display()
    );
    if record.kafka.is_some() {
        text.push_str(TRY_KAFKA);
    }
    text
}

const TRY: &str = r#"

  # the nearest origin answers: you are in Paris, then in Tokyo
  curl "$PARIS/where" -H 'X-Forwarded-For: 127.10.0.9'
  curl "$PARIS/where" -H 'X-Forwarded-For: 127.20.0.9'

  # stored by the edge: the second answer is a hit
  curl -i "$PARIS/articles/7"
  curl -i "$PARIS/articles/7"

  # new content; every edge forgets the old one, with a receipt
  curl -X POST "$ORIGIN_PARIS/publish"
  latencify purge tag article-7 --wait
  curl "$PARIS/articles/7"

  # over HTTPS, with HTTP/2
  curl --cacert "$DEMO_CA" --connect-to "::$PARIS_TLS" https://demo.localhost/

  # who is in the fleet, what it runs, what has happened
  latencify edge list
  latencify policy status
  latencify log list

  # what would happen to a request, without sending it
  latencify policy explain --policy "$DEV/policy.yaml" GET https://demo.localhost/france --from 127.20.0.9
"#;

const TRY_KAFKA: &str = r#"
  # an event on Kafka purges every edge
  echo '{"specversion":"1.0","type":"com.latencify.content.updated","source":"cms","id":"1","data":{"tags":["page"]}}' |
    kcat -P -b "$KAFKA" -t latencify.events
"#;
