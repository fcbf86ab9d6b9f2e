//! Instructions of each part of a hit: `cargo run --release -p latencify-gateway --example instructions [TIMES]`.
//!
//! Each part is run so many times, and twice as many, in a process of its own under `valgrind --tool=callgrind`: what the second has
//! more is the part's own. It is the code that ships, over a policy, objects and a request as they are in use.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // a measuring program

mod stand;
mod stored;

use stand::Stand;
use std::{env, hint::black_box, process::Command};
use stored::{BODY_BYTES, REQUEST, read};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const TIMES: usize = 2_000;

/// A part of a hit.
struct Part {
    name: &'static str,
    run: fn(&mut Stand),
}

const PARTS: [Part; 10] = [
    part("request read", |_| {
        black_box(read(REQUEST));
    }),
    part("request decided", Stand::decide),
    part("key", Stand::key),
    part("lookup", Stand::lookup),
    part("lookup of a variant", Stand::lookup_of_variant),
    part("freshness", Stand::freshness),
    part("header write, kept ready", Stand::write_ready),
    part("header write, made anew", Stand::make_head),
    part("freshness of what is fetched", Stand::fetched),
    part("record and numbers", Stand::tell),
];

const fn part(name: &'static str, run: fn(&mut Stand)) -> Part {
    Part { name, run }
}

fn main() {
    let words: Vec<_> = env::args().skip(1).collect();
    if let [part, times] = words.as_slice() {
        let part: usize = part.parse().unwrap();
        let mut stand = Stand::new();
        for _ in 0..times.parse::<usize>().unwrap() {
            (PARTS[part].run)(&mut stand);
        }
        stand.end();
        return;
    }
    let times = words.first().map_or(TIMES, |n| n.parse().unwrap());
    println!("instructions of a hit on a body of {BODY_BYTES} octets, the mean of {times} times:");
    for (number, part) in PARTS.iter().enumerate() {
        let [once, twice] = [times, 2 * times].map(|times| count(number, times));
        let each = twice.saturating_sub(once) as f64 / times as f64;
        println!("  {:30}{each:9.0}", part.name);
    }
}

/// Instructions of a process that runs a part so often.
fn count(part: usize, times: usize) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args([part.to_string(), times.to_string()])
        .output()
        .expect("valgrind is installed: deploy/setup bench");
    let told = String::from_utf8_lossy(&output.stderr);
    let counted = told
        .lines()
        .find_map(|line| line.split("Collected : ").nth(1));
    let counted = counted.and_then(|text| text.trim().parse().ok());
    counted.unwrap_or_else(|| panic!("valgrind counted nothing\n{told}"))
}
