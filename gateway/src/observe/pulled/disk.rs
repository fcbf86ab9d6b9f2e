//! The disk tier.

use super::{Kind, Pulled};
use crate::disk::DiskCount;

impl Pulled {
    /// The disk tier.
    pub fn disk(&mut self, disk: &DiskCount) {
        let tier = &disk.tier;
        self.gauge(
            "disk_ready",
            "Whether the folder of the disk tier can be used (1) or not (0).",
            u64::from(tier.is_ready),
        );
        self.gauge("disk_objects", "Responses on disk.", tier.objects);
        self.gauge(
            "disk_bytes",
            "Bytes of all files of the disk tier, a segment under way with its full size.",
            tier.bytes,
        );
        self.gauge(
            "disk_bytes_max",
            "The most that disk_bytes may be.",
            tier.bytes_max,
        );
        self.gauge("disk_segments", "Segments of the disk tier.", tier.segments);
        self.gauge(
            "disk_fills",
            "Responses on their way to the disk.",
            tier.fills,
        );
        self.gauge(
            "disk_bodies",
            "Bodies that are being read from disk.",
            tier.bodies,
        );
        self.gauge(
            "disk_queue_bytes",
            "Bytes that wait to be written.",
            tier.queue_bytes,
        );
        self.gauge(
            "disk_passing_bytes",
            "Bytes that are not stored, and wait for who follows them.",
            tier.passing_bytes,
        );
        self.gauge(
            "disk_queue",
            "Operations that wait to be written.",
            tier.queue,
        );
        self.gauge("disk_reads", "Reads that wait for the disk.", tier.reads);
        self.counter(
            "disk_found_total",
            "Look-ups that found something on disk.",
            tier.found,
        );
        self.counter(
            "disk_stored_total",
            "Responses stored on disk.",
            tier.stored,
        );
        self.counter(
            "disk_evicted_total",
            "Responses evicted from the disk to make room.",
            tier.evicted,
        );
        self.counter(
            "disk_written_bytes_total",
            "Bytes written to segments.",
            tier.written_bytes,
        );
        self.counter(
            "disk_rewritten_bytes_total",
            "Bytes of those that were written again because their response was asked for.",
            tier.rewritten_bytes,
        );
        self.counter(
            "disk_snapshots_total",
            "Times that the index was written down.",
            tier.snapshots,
        );
        self.counter(
            "disk_openings_total",
            "Times that the folder was opened.",
            tier.openings,
        );
        self.counter(
            "disk_not_admitted_total",
            "Responses that the policy keeps from the disk.",
            disk.not_admitted,
        );
        self.counter(
            "disk_unreadable_total",
            "Responses on disk whose head is of another version.",
            disk.unreadable,
        );
        self.counter(
            "disk_marks_late_total",
            "Purges by this edge alone that were acknowledged before they were on disk.",
            disk.marks_late,
        );
        self.counter(
            "disk_marks_failures_total",
            "Attempts to write purges by this edge alone that failed.",
            disk.marks_failures,
        );
        let mut misses = reasons(&tier.misses, latencify_disk::Miss::name);
        misses.push(("slow", disk.late));
        self.reasons(
            "disk_misses_total",
            "Look-ups that found nothing on disk, by why.",
            misses,
        );
        self.reasons(
            "disk_refused_total",
            "Responses that were not stored on disk, by why.",
            reasons(&tier.refusals, latencify_disk::Refusal::name),
        );
        self.reasons(
            "disk_broken_total",
            "Bodies on disk that could not be read to their end, by why.",
            reasons(&tier.broken, latencify_disk::Broken::name),
        );
        self.reasons(
            "disk_faults_total",
            "What was found wrong with the folder or the disk.",
            reasons(&tier.faults, latencify_disk::Fault::name),
        );
    }

    fn reasons(&mut self, name: &str, help: &str, counts: Vec<(&'static str, u64)>) {
        let samples = counts
            .into_iter()
            .map(|(why, count)| (vec![("reason", why)], count as f64))
            .collect();
        self.family(Kind::Counter, name, help, samples);
    }
}

fn reasons<T: Copy>(counts: &[(T, u64)], name: fn(T) -> &'static str) -> Vec<(&'static str, u64)> {
    counts
        .iter()
        .map(|(why, count)| (name(*why), *count))
        .collect()
}
