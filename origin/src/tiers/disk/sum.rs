//! CRC32C, by the instructions of the CPU where it has them.

use crc_fast::{CrcAlgorithm, Digest};

/// The checksum of `data`.
pub(super) fn of(data: &[u8]) -> u32 {
    append(0, data)
}

/// The checksum of what has the checksum `sum`, followed by `data`.
pub(super) fn append(sum: u32, data: &[u8]) -> u32 {
    // The state of the register is the complement of its checksum.
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!sum));
    digest.update(data);
    u32::try_from(digest.finalize() & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{append, of};

    #[test]
    fn sums_are_those_of_the_standard_in_any_pieces() {
        // RFC 3720, B.4, and the check value of the catalogue of parametrised CRC algorithms.
        let known =
            [(b"123456789".to_vec(), 0xe306_9283), (vec![0; 32], 0x8a91_36aa), (vec![0xff; 32], 0x62a8_ab43)];
        for (data, sum) in known {
            assert_eq!(of(&data), sum);
            for at in 0..=data.len() {
                assert_eq!(append(of(&data[..at]), &data[at..]), sum);
            }
        }
        let data: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for at in [1, 255, 4_096, 65_536, 399_999] {
            assert_eq!(append(of(&data[..at]), &data[at..]), of(&data));
        }
        assert_eq!(of(b""), 0);
    }
}
