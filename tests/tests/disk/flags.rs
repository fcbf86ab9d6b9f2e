//! What an operator may say of a disk tier.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_is_refused_with_the_remedy() {
    let file = "/dev/null";
    let cases: [(&[(&str, &str)], &str); 5] = [
        (
            &[("--disk", "."), ("--disk-bytes", "1MiB")],
            "give it at least",
        ),
        (&[("--disk", "."), ("--disk-bytes", "many")], "--disk-bytes"),
        (&[("--disk-bytes", "1GiB")], "without --disk DIR"),
        (&[("--disk", "."), ("--disk-wait", "0s")], "like 500ms"),
        (&[("--disk", file)], "name a folder"),
    ];
    for (flags, remedy) in cases {
        let mut options = Edge::alone(&one_route("http://127.0.0.1:9", ""));
        for (flag, value) in flags {
            options = options.flag(flag, value);
        }
        let (mut process, _folder) = options.start_in_vain();
        let status = process.ended(SOON).await;
        assert_eq!(status.code(), Some(2), "{flags:?}");
        let said = process.said();
        assert!(said.contains(remedy), "{flags:?}: {said}");
    }
}
