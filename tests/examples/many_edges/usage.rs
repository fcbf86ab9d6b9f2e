//! What a process has used, by the kernel's word.

use std::{fs, time::Duration};

/// Of a process, by now.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// On cores, in it and in the kernel for it.
    pub cpu: Duration,
    /// In memory (RSS).
    pub resident_bytes: u64,
    /// The most that it ever had there.
    pub resident_bytes_most: u64,
}

impl Usage {
    /// The time on cores since then.
    pub fn cpu_since(&self, earlier: &Self) -> Duration {
        self.cpu.saturating_sub(earlier.cpu)
    }

    pub fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let kibibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.unwrap().split_whitespace().next();
            number.unwrap().parse::<u64>().unwrap() << 10
        };
        Self {
            cpu: cpu(pid),
            resident_bytes: kibibytes("VmRSS:"),
            resident_bytes_most: kibibytes("VmHWM:"),
        }
    }
}

/// The scheduler's own count of each thread, to the nanosecond; threads that have ended are not in it, and control ends
/// none but those that idle.
fn cpu(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_thread = |thread: fs::DirEntry| {
        let stat = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.flatten().filter_map(of_thread).sum())
}
