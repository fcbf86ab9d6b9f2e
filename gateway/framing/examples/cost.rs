//! What looking at a request costs: a head of a browser and a chunked body, against merely finding their end and copying
//! them. Build it optimised: `cargo run --release -p latencify-framing --example cost`.

#![allow(clippy::print_stdout)] // a program of its own

use latencify_framing::{BodyReader, Framing, HeadReader, Limits};
use std::{hint::black_box, time::Instant};

const HEAD: &[u8] = b"GET /assets/app-3f9c2d1b.js?v=20261123 HTTP/1.1\r\n\
Host: shop.example\r\n\
Connection: keep-alive\r\n\
sec-ch-ua: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
sec-ch-ua-mobile: ?0\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
sec-ch-ua-platform: \"Linux\"\r\n\
Accept: */*\r\n\
Sec-Fetch-Site: same-origin\r\n\
Sec-Fetch-Mode: no-cors\r\n\
Sec-Fetch-Dest: script\r\n\
Referer: https://shop.example/products/1234\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n\
Cookie: session=01a206f7d47931f8a36685137f8c062; consent=yes; theme=dark\r\n\r\n";
const ROUNDS: u32 = 300_000;

fn main() {
    let short = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (name, head) in [
        ("browser's head", HEAD),
        ("shortest head", short.as_slice()),
    ] {
        let passing = nanoseconds(|| pass(black_box(head)));
        let reading = nanoseconds(|| {
            let mut reader = HeadReader::new(Limits::default());
            usize::from(
                reader
                    .read(black_box(head))
                    .is_ok_and(|head| head.is_some()),
            )
        });
        tell(name, head.len(), passing, reading);
    }
    let chunk = [b"4000\r\n".as_slice(), &[b'a'; 0x4000], b"\r\n0\r\n\r\n"].concat();
    let mut place = chunk.clone();
    let passing = nanoseconds(|| {
        place.copy_from_slice(black_box(&chunk));
        place.len()
    });
    let reading = nanoseconds(|| {
        place.copy_from_slice(black_box(&chunk));
        let mut reader = BodyReader::new(Framing::Chunked, Limits::default());
        reader
            .filter(&mut place)
            .map_or(0, |filtered| filtered.kept)
    });
    tell("16 KiB chunk", chunk.len(), passing, reading);
}

/// Finds the end of a head and copies it.
fn pass(head: &[u8]) -> usize {
    let end = head.windows(4).position(|four| four == b"\r\n\r\n");
    black_box(head.to_vec()).len() + end.unwrap_or(0)
}

fn nanoseconds(mut work: impl FnMut() -> usize) -> f64 {
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        black_box(work());
    }
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
}

fn tell(name: &str, octets: usize, passing: f64, reading: f64) {
    println!(
        "{name}, {octets} octets: passing {passing:.0} ns, reading {reading:.0} ns ({:.2} ns an octet), ratio {:.2}",
        reading / octets as f64,
        reading / passing
    );
}
