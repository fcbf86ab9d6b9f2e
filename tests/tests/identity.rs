//! Accounts, sessions and the audit log, through the command line and a real control service.

#![allow(clippy::unwrap_used, clippy::expect_used)] // the helpers of tests too

use futures::future::join_all;
use latencify_tests::{Control, cli::Said, program};
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt as _, process::Command};

const PASSWORD: &str = "correct horse battery";

/// A control service, and somebody's configuration folder.
struct Stand {
    control: Control,
    config: TempDir,
}

impl Stand {
    async fn new() -> Self {
        let stand = Self {
            control: Control::embedded().start().await,
            config: tempfile::tempdir().unwrap(),
        };
        for (name, role) in [("root", "admin"), ("alice", "purger")] {
            let added = stand
                .by_token(
                    &["user", "add", name, "--role", role],
                    &format!("{PASSWORD}\n"),
                )
                .await;
            assert_eq!(added.code, 0, "{added:?}");
        }
        stand
    }

    /// As who has the bootstrap token.
    async fn by_token(&self, arguments: &[&str], stdin: &str) -> Said {
        let mut command = self.command();
        command.env("LATENCIFY_API_TOKEN", self.control.api_token());
        run(command, arguments, stdin).await
    }

    /// As who is logged in, if anybody is.
    async fn by_session(&self, arguments: &[&str], stdin: &str) -> Said {
        run(self.command(), arguments, stdin).await
    }

    fn command(&self) -> Command {
        let mut command = Command::new(program("latencify"));
        command
            .env_remove("LATENCIFY_API_TOKEN")
            .env_remove("LATENCIFY_API_TOKEN_FILE")
            .env("LATENCIFY_SERVER", self.control.api_url())
            .env("LATENCIFY_CONFIG", self.config.path());
        command
    }

    fn sessions(&self) -> PathBuf {
        self.config.path().join("sessions")
    }

    /// The file of the session.
    fn file(&self) -> PathBuf {
        let files = fs::read_dir(self.sessions()).unwrap();
        let mut files = files.map(|file| file.unwrap().path());
        files
            .find(|file| {
                file.extension()
                    .is_some_and(|extension| extension == "json")
            })
            .expect("a session is kept")
    }

    fn kept(&self) -> Value {
        serde_json::from_slice(&fs::read(self.file()).unwrap()).unwrap()
    }
}

async fn run(mut command: Command, arguments: &[&str], stdin: &str) -> Said {
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // A command that asks for nothing may have ended by now.
    let _ = pipe.write_all(stdin.as_bytes()).await;
    drop(pipe);
    let output = child.wait_with_output().await.unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_kept_for_its_user_alone_and_ends_with_the_logout() {
    let stand = Stand::new().await;
    let nobody = stand.by_session(&["whoami"], "").await;
    assert_eq!(nobody.code, 1, "{nobody:?}");
    let wrong = stand
        .by_session(&["login", "alice"], "a wrong horse battery\n")
        .await;
    assert_eq!(wrong.code, 1, "{wrong:?}");
    assert!(
        wrong.stderr.contains("the user or the password is wrong"),
        "{wrong:?}"
    );
    let login = stand
        .by_session(&["login", "alice"], &format!("{PASSWORD}\n"))
        .await;
    assert_eq!(login.code, 0, "{login:?}");
    assert_eq!(mode(&stand.file()), 0o600);
    assert_eq!(mode(&stand.sessions()), 0o700);
    let who = stand.by_session(&["whoami", "-o", "json"], "").await;
    let who: Value =
        serde_json::from_str(&who.stdout).unwrap_or_else(|error| panic!("{error}: {who:?}"));
    assert_eq!(who["name"], "user:alice");
    let refused = stand.by_session(&["user", "list"], "").await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("users.read"), "{refused:?}");
    // A given token wins over the session.
    let root = stand.by_token(&["whoami"], "").await;
    assert!(root.stdout.contains("token:default"), "{root:?}");
    // Others may read it: told, and mended.
    fs::set_permissions(stand.file(), fs::Permissions::from_mode(0o644)).unwrap();
    let mended = stand.by_session(&["whoami"], "").await;
    assert_eq!(mended.code, 0, "{mended:?}");
    assert!(
        mended.stderr.contains("could be read by others"),
        "{mended:?}"
    );
    assert_eq!(mode(&stand.file()), 0o600);
    let kept = stand.kept();
    let out = stand.by_session(&["logout"], "").await;
    assert_eq!(out.code, 0, "{out:?}");
    assert!(fs::read_dir(stand.sessions()).unwrap().all(|file| {
        file.unwrap()
            .path()
            .extension()
            .is_none_or(|extension| extension != "json")
    }));
    let mut command = stand.command();
    command.env(
        "LATENCIFY_API_TOKEN",
        kept["access_token"].as_str().unwrap(),
    );
    let stolen = run(command, &["whoami"], "").await;
    assert_eq!(stolen.code, 1, "{stolen:?}");
    assert!(stolen.stderr.contains("revoked"), "{stolen:?}");
    for said in [&login, &wrong, &mended, &out] {
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(!all.contains(PASSWORD) && !all.contains("eyJ"), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_commands_at_a_time_refresh_a_session_once() {
    let stand = Stand::new().await;
    let login = stand
        .by_session(&["login", "alice"], &format!("{PASSWORD}\n"))
        .await;
    assert_eq!(login.code, 0, "{login:?}");
    for round in 0..3 {
        let mut kept = stand.kept();
        let before = kept["refresh_token"].clone();
        kept["access_expires"] = 0.into();
        fs::write(stand.file(), kept.to_string()).unwrap();
        let all = join_all((0..8).map(|_| stand.by_session(&["whoami"], ""))).await;
        for said in &all {
            assert_eq!(said.code, 0, "round {round}: {said:?}");
        }
        assert_ne!(stand.kept()["refresh_token"], before, "it was refreshed");
        assert_eq!(mode(&stand.file()), 0o600);
    }
    let records = stand
        .by_token(&["audit", "list", "--action", "refresh", "-o", "json"], "")
        .await;
    let records: Value = serde_json::from_str(&records.stdout).unwrap();
    assert_eq!(
        records["records"],
        serde_json::json!([]),
        "no refresh token was shown twice"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_makes_roles_users_and_tokens_and_proves_the_audit_log() {
    let stand = Stand::new().await;
    let login = stand
        .by_session(&["login", "root"], &format!("{PASSWORD}\n"))
        .await;
    assert_eq!(login.code, 0, "{login:?}");
    assert!(!login.stderr.contains("wins over"), "{login:?}");
    let beside_a_token = stand
        .by_token(&["login", "root"], &format!("{PASSWORD}\n"))
        .await;
    let warned = beside_a_token.stderr.contains("wins over the session");
    assert!(beside_a_token.code == 0 && warned, "{beside_a_token:?}");
    let steps: &[(&[&str], &str, &str)] = &[
        (
            &[
                "role",
                "set",
                "releaser",
                "--permission",
                "policies.read",
                "--permission",
                "own",
            ],
            "",
            "releaser is a role",
        ),
        (&["role", "list"], "", "releaser"),
        (
            &["user", "add", "bob", "--role", "releaser", "--site", "shop"],
            "another horse battery\n",
            "bob has an account",
        ),
        (
            &["user", "change", "bob", "--role", "viewer", "--disable"],
            "",
            "disabled",
        ),
        (&["user", "list"], "", "bob"),
        (
            &["user", "logout", "bob"],
            "",
            "every session of bob is over",
        ),
        (
            &["role", "remove", "releaser"],
            "",
            "releaser is no role any more",
        ),
        (
            &["user", "remove", "bob"],
            "",
            "bob has no account any more",
        ),
        (&["token", "rotate-keys"], "", "are signed with"),
    ];
    for (arguments, stdin, says) in steps {
        let said = stand.by_session(arguments, stdin).await;
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        assert!(said.stdout.contains(says), "{arguments:?}: {said:?}");
    }
    let made = stand
        .by_session(
            &[
                "token",
                "create",
                "ci",
                "--role",
                "viewer",
                "--expires-days",
                "1",
                "-o",
                "json",
            ],
            "",
        )
        .await;
    let made: Value =
        serde_json::from_str(&made.stdout).unwrap_or_else(|error| panic!("{error}: {made:?}"));
    let token = made["token"].as_str().unwrap();
    let mut command = stand.command();
    command.env("LATENCIFY_API_TOKEN", token);
    let who = run(command, &["whoami"], "").await;
    assert!(who.stdout.starts_with("token:root/ci\n"), "{who:?}");
    let listed = stand.by_session(&["token", "list"], "").await;
    assert!(
        listed.stdout.contains("live") && !listed.stdout.contains(token),
        "{listed:?}"
    );
    let id = made["about"]["id"].as_str().unwrap();
    let revoked = stand.by_session(&["token", "revoke", id], "").await;
    assert_eq!(revoked.code, 0, "{revoked:?}");
    let last = stand.by_session(&["user", "remove", "root"], "").await;
    assert_eq!(last.code, 1, "{last:?}");
    assert!(last.stderr.contains("last administrator"), "{last:?}");

    let whole = stand.by_session(&["audit", "verify"], "").await;
    assert_eq!(whole.code, 0, "{whole:?}");
    let head = whole.stdout.trim().rsplit(' ').next().unwrap().to_owned();
    let same = stand
        .by_session(&["audit", "verify", "--expect", &head], "")
        .await;
    assert_eq!(same.code, 0, "{same:?}");
    let (number, _) = head.split_once(':').unwrap();
    let other = format!("{number}:sha256:{}", "0".repeat(64));
    let cut = stand
        .by_session(&["audit", "verify", "--expect", &other], "")
        .await;
    assert_eq!(cut.code, 1, "{cut:?}");
    let refused = stand
        .by_session(
            &["audit", "list", "--by", "user:root", "--outcome", "failed"],
            "",
        )
        .await;
    assert!(
        refused.stdout.contains("DELETE /v1/users/root"),
        "{refused:?}"
    );
    let audit = stand
        .by_session(&["audit", "list", "-o", "json", "--limit", "1000"], "")
        .await;
    for secret in [PASSWORD, "another horse battery", token, "eyJ"] {
        assert!(!audit.stdout.contains(secret), "{secret}");
    }
}
