//! The API over HTTPS, with a certificate of the fleet's own CA.

use latencify_tests::{Control, cli};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_is_trusted_by_its_ca_or_by_the_fingerprint_of_it() {
    let control = Control::embedded().api_over_tls().start().await;
    let file = control.fleet_ca_file().display().to_string();
    let by_file = cli::latencify_at(&control, &["edge", "list", "--ca", &file]).await;
    assert_eq!(by_file.code, 0, "{by_file:?}");
    let invite = ["edge", "invite", "paris", "--ca", &file, "-o", "json"];
    let invited = cli::latencify_at(&control, &invite).await;
    let invited: serde_json::Value = serde_json::from_str(&invited.stdout).unwrap();
    let fingerprint = invited["ca_fingerprint"].as_str().unwrap();
    let pinned = ["edge", "list", "--ca-fingerprint", fingerprint];
    let said = cli::latencify_at(&control, &pinned).await;
    assert_eq!(said.code, 0, "{said:?}");

    let other = format!("sha256:{}", "0".repeat(64));
    for wrong in [&["--ca-fingerprint", other.as_str()][..], &[]] {
        let said = cli::latencify_at(&control, &[&["edge", "list"], wrong].concat()).await;
        assert_eq!(said.code, 1, "{said:?}");
        for word in ["certificate", "--ca", "--ca-fingerprint"] {
            assert!(said.stderr.contains(word), "no {word}: {said:?}");
        }
    }
    // In the clear it says nothing.
    let plain = format!("http://{}", control.api());
    let said = cli::latencify_at(&control, &["edge", "list", "--server", &plain]).await;
    assert_eq!(said.code, 1, "{said:?}");
}
