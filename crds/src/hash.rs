//! Texts made short.

/// FNV-1a, 64 bits, in hexadecimal: the same on every platform and in every version. It guards against nothing but accidents.
pub fn stable_hash(text: &str) -> String {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
}
