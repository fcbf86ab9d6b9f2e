//! What the figures were measured on.

use std::{fs, process::Command};

/// Processor, system, memory.
#[derive(Debug, Clone)]
pub struct Machine {
    /// How many cores.
    pub cores: usize,
    /// The processor's name.
    pub model: String,
    /// The kernel's version.
    pub kernel: String,
    /// All memory, in MiB.
    pub memory_mib: u64,
    /// The load of the last minute when the run began.
    pub load: String,
}

impl Machine {
    /// This one.
    pub fn read() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu
            .lines()
            .find(|line| line.starts_with("model name"))
            .and_then(|line| line.split(':').nth(1));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            model: model.unwrap_or("unknown processor").trim().to_owned(),
            kernel: read_word("/proc/sys/kernel/osrelease"),
            memory_mib: meminfo("MemTotal:") >> 10,
            load: load.split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

/// Whether a real-time scheduler runs this program.
pub fn is_real_time() -> bool {
    is_real_time_in(&fs::read_to_string("/proc/self/stat").unwrap_or_default())
}

/// proc_pid_stat(5), field 41: `SCHED_FIFO` is 1, `SCHED_RR` is 2.
fn is_real_time_in(stat: &str) -> bool {
    // The name, the second field, may hold spaces and parentheses; it ends with the last one.
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let policy = behind_name.split_whitespace().nth(38);
    matches!(policy, Some("1" | "2"))
}

/// Memory that can be had without taking it from anybody, in MiB.
pub fn available_mib() -> u64 {
    meminfo("MemAvailable:") >> 10
}

/// The most files that a process may open.
pub fn descriptors() -> u64 {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let hard = line.and_then(|line| line.split_whitespace().nth(4)?.parse().ok());
    hard.unwrap_or(1_024)
}

/// What the program says of its version: the first line that has a digit in it.
pub fn version(program: &str, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else {
        return "unknown".to_owned();
    };
    // Some say it on standard error.
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let has_digit = |line: &&str| line.chars().any(|c| c.is_ascii_digit());
    let line = text.lines().find(has_digit).unwrap_or("unknown");
    line.split(" - ").next().unwrap_or(line).trim().to_owned()
}

fn read_word(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// A line of `/proc/meminfo`, in KiB.
fn meminfo(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_cores_and_memory() {
        let machine = Machine::read();
        assert!(machine.cores > 0 && machine.memory_mib > 0, "{machine:?}");
        assert!(!machine.kernel.is_empty() && available_mib() > 0);
        assert!(descriptors() > 0);
    }

    #[test]
    fn a_real_time_scheduler_is_seen() {
        let stat = |policy: &str| format!("7 (a b) c) R {}10 {policy} 0 0", "0 ".repeat(36));
        assert!(is_real_time_in(&stat("1")) && is_real_time_in(&stat("2")));
        assert!(!is_real_time_in(&stat("0")) && !is_real_time_in(""));
    }
}
