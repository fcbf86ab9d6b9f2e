//! Signals that an edge can't do what they want of it, and kernels that refuse it something: it says so, and goes on.

use super::{
    SOON,
    bare::{Bare, children, installed},
};
use latencify_tests::{skip, wait_until};
use std::{
    fs,
    os::unix::{self, fs::PermissionsExt as _},
    process::Command,
};

fn send(signal: &str, pid: u32) {
    let kill = format!("kill -{signal} {pid}");
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
}

/// The first process of a container can't hand over: all in the container would end with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process_1_says_that_it_can_not_hand_over_and_serves_on() {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--"]);
        command
    };
    let is_permitted = unshare().arg("true").status();
    if !is_permitted.is_ok_and(|status| status.success()) {
        skip!("this user may make no namespace of processes");
    }
    let bare = Bare::start(|_| {
        let mut command = unshare();
        command.arg(installed());
        command
    })
    .await;
    assert_eq!(bare.ports()["pid"], 1);
    let edge = children(bare.process.pid());
    assert_eq!(edge.len(), 1, "{edge:?}");
    send("USR2", edge[0]);
    let line = bare.says("SIGUSR2 refused").await;
    assert!(
        line.contains("process 1") && line.contains("replace the container instead"),
        "{line}"
    );
    bare.serves().await;
    assert_eq!(children(edge[0]), Vec::<u32>::new());
}

/// The successor is held back until both signals have been heard.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_is_told_which_process_is_waited_for() {
    let mut bare = Bare::start(|folder| {
        let program = folder.join("edge");
        unix::fs::symlink(installed(), &program).unwrap();
        Command::new(program)
    })
    .await;
    let first = bare.process.pid();
    // The new version waits for a word before it is itself.
    let word = bare.folder().join("go");
    let script = format!(
        "#!/bin/sh\nwhile [ ! -e '{}' ]; do sleep 0.05; done\nexec '{}' \"$@\"\n",
        word.display(),
        installed().display()
    );
    let beside = bare.folder().join("edge.new");
    fs::write(&beside, script).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(beside, bare.folder().join("edge")).unwrap();

    send("USR2", first);
    let successor = wait_until("a successor is there", SOON, async || {
        match children(first).as_slice() {
            [one] => Ok(*one),
            other => Err(format!("{other:?}\n{}", bare.process.last_words())),
        }
    })
    .await;
    send("USR2", first);
    let line = bare.says("SIGUSR2 refused").await;
    assert!(
        line.contains("an upgrade is under way") && line.contains(&format!("pid={successor}")),
        "{line}"
    );
    fs::write(word, "").unwrap();
    let line = bare.says("handed over").await;
    assert!(line.contains(&format!("pid={successor}")), "{line}");
    assert_eq!(bare.ports()["pid"], successor);
    bare.process.follow(successor);
    bare.serves().await;
}

/// `pidfd_getfd` fails as in a sandbox that does not know it (systemd's `SystemCallFilter=` without it).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kernel_that_gives_no_second_handle_is_told_of_once() {
    let prctl = match std::env::consts::ARCH {
        "x86_64" => 157,
        "aarch64" => 167,
        _ => skip!("the number of prctl is not known for this machine"),
    };
    // A seccomp filter of four instructions: call 438 answers EPERM, the others pass. Perl, because the call is unsafe code.
    let script = format!(
        "my $filter = pack('SCCL' x 4, 0x20,0,0,0, 0x15,0,1,438, 0x06,0,0,0x50001, 0x06,0,0,0x7fff0000);\n\
         my $program = pack('Sx6P', 4, $filter);\n\
         syscall({prctl}, 38, 1, 0, 0, 0) == 0 or die \"no_new_privs: $!\";\n\
         syscall({prctl}, 22, 2, $program) == 0 or die \"seccomp: $!\";\n\
         exec @ARGV or die $!;"
    );
    let bare = Bare::start(|_| {
        let mut command = Command::new("perl");
        command.args(["-e", &script]).arg(installed());
        command
    })
    .await;
    // Connections of Pingora's, of which a second handle is wanted.
    for _ in 0..3 {
        bare.passes_on("POST").await;
    }
    let line = bare.says("pidfd_getfd is refused").await;
    assert!(line.contains("SystemCallFilter=pidfd_getfd"), "{line}");
    assert_eq!(
        bare.process
            .said()
            .matches("pidfd_getfd is refused")
            .count(),
        1
    );
}
