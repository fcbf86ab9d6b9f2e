//! The first line of the file: a digest, the format's version, and how many bytes of the file are on disk, itself included. Always
//! as long, so that it is written in its place; within one sector, so that it is never torn. Pure.

use super::record::{SUM_CHARACTERS, sum};

/// The version that is written.
const VERSION: u32 = 1;
/// How long it is: the digest, a space, the words, a number of [`NUMBER_CHARACTERS`], the end of a line.
pub const HEAD_BYTES: usize = SUM_CHARACTERS + 1 + WORDS_BYTES + NUMBER_CHARACTERS + 1;
const NUMBER_CHARACTERS: usize = 20;
const WORDS_BYTES: usize = "local-marks 1 ".len();

/// The head of a file that ends there.
pub fn write(end: u64) -> Vec<u8> {
    let text = format!("local-marks {VERSION} {end:0NUMBER_CHARACTERS$}");
    format!("{} {text}\n", sum(text.as_bytes())).into_bytes()
}

/// Where the file ends.
pub fn read(head: &[u8; HEAD_BYTES]) -> Result<u64, String> {
    let text = head.get(SUM_CHARACTERS + 1..HEAD_BYTES - 1);
    let number = text.and_then(|text| text.get(WORDS_BYTES..));
    let end = number
        .and_then(|number| std::str::from_utf8(number).ok())
        .and_then(|number| number.parse().ok());
    // What is written for that number is all that can stand there.
    end.filter(|&end| end >= HEAD_BYTES as u64 && write(end) == head)
        .ok_or_else(|| "its head is not what was written, or of another version".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        for end in [HEAD_BYTES as u64, 12_345, u64::MAX] {
            let head: [u8; HEAD_BYTES] = write(end).try_into().unwrap();
            assert_eq!(read(&head), Ok(end));
            for at in 0..HEAD_BYTES {
                let mut other = head;
                other[at] ^= 1;
                assert!(read(&other).is_err(), "{at}");
            }
        }
        assert!(read(&write(1).try_into().unwrap()).is_err());
    }
}
