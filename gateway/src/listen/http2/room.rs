//! Buffers that a connection keeps between requests.

use bytes::BytesMut;

/// So much room a buffer keeps while nothing is in it: what the next small answer needs.
const KEPT_BYTES_MAX: usize = 4 << 10;

/// Empties a buffer, and gives its room back if that is large.
pub(super) fn rest(buffer: &mut BytesMut) {
    buffer.clear();
    if buffer.try_reclaim(KEPT_BYTES_MAX + 1) {
        *buffer = BytesMut::new();
    }
}

/// The same of a list.
pub(super) fn rest_list<T>(list: &mut Vec<T>) {
    list.clear();
    if list.capacity() * size_of::<T>() > KEPT_BYTES_MAX {
        *list = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;

    #[test]
    fn little_room_is_kept_and_much_given_back() {
        let check = |octets: usize, keeps: bool| {
            let mut buffer = BytesMut::with_capacity(octets);
            buffer.resize(octets, 7);
            // However it was emptied.
            buffer.advance(octets);
            rest(&mut buffer);
            buffer.reserve(0);
            assert!(buffer.is_empty());
            assert_eq!(buffer.try_reclaim(octets), keeps, "{octets}");
            let mut list = vec![7_u8; octets];
            rest_list(&mut list);
            assert_eq!((list.len(), list.capacity() >= octets), (0, keeps));
        };
        check(1_000, true);
        check(KEPT_BYTES_MAX, true);
        check(KEPT_BYTES_MAX + 1, false);
        check(128 << 10, false);
    }
}
