//! A small disk of its own for one process: a tmpfs in a mount namespace, which is filled and emptied from outside.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A mount namespace that lives as long as this, with a tmpfs in it.
pub struct SmallDisk {
    holder: Child,
    place: PathBuf,
}

impl SmallDisk {
    /// Mounts a tmpfs of so many bytes at a folder that is there; none: this machine does not let us.
    pub async fn at(place: &Path, bytes: u64) -> Option<Self> {
        let script = "mount -t tmpfs -o size=\"$1\",mode=700 tmpfs \"$2\" && echo mounted && exec sleep infinity";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        if !is_root() {
            command.arg("--map-root-user");
        }
        let mut holder = command
            .args(["sh", "-c", script, "sh", &bytes.to_string()])
            .arg(place)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = std::io::BufReader::new(holder.stdout.take().unwrap());
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut said, &mut line).map(|_| line)
        });
        let line = tokio::time::timeout(Duration::from_secs(30), line).await;
        let disk = Self {
            holder,
            place: place.to_owned(),
        };
        matches!(line, Ok(Ok(Ok(line))) if line.trim() == "mounted").then_some(disk)
    }

    /// What starts a program in the namespace.
    pub fn enter(&self) -> Vec<String> {
        let target = self.holder.id().to_string();
        let mut line = vec!["nsenter", "--mount", "--target", &target];
        if !is_root() {
            line.extend(["--user", "--preserve-credentials"]);
        }
        line.into_iter().map(str::to_owned).collect()
    }

    fn filler(&self) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        let place = self.place.strip_prefix("/").unwrap();
        Path::new(&root).join(place).join("filler")
    }

    /// Leaves no byte on it.
    pub fn fill(&self) {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.filler())
            .unwrap();
        for piece in [1 << 20, 1 << 12, 1] {
            let bytes = vec![0; piece];
            while file.write(&bytes).is_ok_and(|written| written > 0) {}
        }
    }

    /// Makes room again.
    pub fn clear(&self) {
        let _ = fs::remove_file(self.filler());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Whether mounting needs no user namespace.
fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}
