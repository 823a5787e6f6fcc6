//! Numbers of 128 bits as text: names of versions, ids of requests. Each answer has two of them, and the formatter of the
//! standard library takes ten times as long.

/// The number as 32 hexadecimal digits in lower case.
pub fn hex(number: u128) -> [u8; 32] {
    let mut text = [b'0'; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// The same as a string.
pub fn hex_string(number: u128) -> String {
    // Digits are ASCII.
    String::from_utf8(hex(number).into()).unwrap_or_default()
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_standard_library_formats_it() {
        for number in [0, 1, 0xf0, u128::MAX, 0x0123_4567_89ab_cdef_0011_2233_4455_6677] {
            assert_eq!(hex_string(number), format!("{number:032x}"));
        }
    }
}
