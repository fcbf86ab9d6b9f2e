//! A small disk of its own for one process, in a mount namespace: a tmpfs, which is filled, emptied and remounted from
//! outside, or a file system that is broken from outside.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A file system in memory, which needs no right but to mount.
const IN_MEMORY: &str = "mount -t tmpfs -o size=\"$1\",mode=700 tmpfs \"$2\"";
/// One that becomes read-only under open files when the kernel finds it broken, as most servers have it.
const IN_IMAGE: &str = "truncate -s \"$1\" \"$2.img\" && mkfs.ext4 -q \"$2.img\" && \
                        mount -o loop,errors=remount-ro \"$2.img\" \"$2\" && chmod 700 \"$2\"";
/// The kernel finds it broken.
const BREAK: &str =
    "echo 1 > /sys/fs/ext4/\"$(basename \"$(findmnt -no SOURCE \"$1\")\")\"/trigger_fs_error";
const MOUNT_ANEW: &str = "umount \"$1\" && mount -o loop,errors=remount-ro \"$1.img\" \"$1\"";

/// A mount namespace that lives as long as this, with that disk in it.
pub struct SmallDisk {
    holder: Child,
    place: PathBuf,
}

impl SmallDisk {
    /// Mounts a tmpfs of so many bytes at a folder that is there; none: this machine does not let us.
    pub async fn at(place: &Path, bytes: u64) -> Option<Self> {
        Self::mounted(IN_MEMORY, place, bytes).await
    }

    /// Likewise, a disk that can break.
    pub async fn breakable(place: &Path, bytes: u64) -> Option<Self> {
        Self::mounted(IN_IMAGE, place, bytes).await
    }

    async fn mounted(mount: &str, place: &Path, bytes: u64) -> Option<Self> {
        let script = format!("{mount} && echo mounted && exec sleep infinity");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        if !is_root() {
            command.arg("--map-root-user");
        }
        let mut holder = command
            .args(["sh", "-c", &script, "sh", &bytes.to_string()])
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

    /// Remounts it `ro` or `rw`; says whether the kernel did: not `ro` while files on it are open for writing.
    pub fn remount(&self, how: &str) -> bool {
        self.run(&format!("mount -o remount,{how} \"$1\""))
    }

    /// Breaks one that can break: from now on it is read-only, whatever is open on it.
    pub fn break_down(&self) -> bool {
        self.run(BREAK)
    }

    /// Mounts it anew after that. Nobody may have files open on it.
    pub fn mount_anew(&self) -> bool {
        self.run(MOUNT_ANEW)
    }

    fn run(&self, script: &str) -> bool {
        let enter = self.enter();
        let ran = Command::new(&enter[0])
            .args(&enter[1..])
            .args(["sh", "-c", script, "sh"])
            .arg(&self.place)
            .output();
        ran.is_ok_and(|ran| ran.status.success())
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
