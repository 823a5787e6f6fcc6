//! Quantities that cross a module: parsed once, at the edge, with the offending text in the error.

use std::fmt;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

/// Why a text is not a byte quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Nothing before the unit, or a sign, an exponent or a fraction that is not a whole number of bytes.
    #[error(
        "\"{0}\" is not a quantity of bytes: write a whole number with one of Ki, Mi, Gi, Ti, k, M, G, T, e.g. \"2Gi\""
    )]
    Malformed(String),
    /// More than 2^53 bytes: it would not survive JSON.
    #[error("\"{0}\" is larger than 2^53 bytes")]
    TooLarge(String),
}

const UNITS: [(&str, u64); 12] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("m", 0), // milli-bytes are legal for Kubernetes and meaningless here
    ("", 1),
];

/// JSON numbers are exact up to here.
const EXACT_MAX: u64 = 1 << 53;

impl Bytes {
    /// One kibibyte, 1024 bytes.
    pub const KIB: u64 = 1 << 10;
    /// One mebibyte, 1024 kibibytes.
    pub const MIB: u64 = 1 << 20;

    /// Parses a Kubernetes quantity as bytes: `2Gi`, `512Mi`, `1.5G`, `1048576`.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let malformed = || QuantityError::Malformed(text.to_owned());
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let factor = factor.filter(|factor| *factor > 0).ok_or_else(malformed)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        if !(1..=16).contains(&whole.len())
            || !(1..=9).contains(&fraction.len())
            || ["Pi", "P"].contains(&unit)
        {
            return Err(malformed());
        }
        let too_large = || QuantityError::TooLarge(text.to_owned());
        let whole: u64 = whole.parse().map_err(|_| too_large())?;
        let mut bytes = u128::from(whole) * u128::from(factor);
        if !fraction.is_empty() {
            let digits: u128 = fraction.parse().map_err(|_| malformed())?;
            let scale = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| malformed())?);
            let scaled = digits * u128::from(factor);
            if !scaled.is_multiple_of(scale) {
                return Err(malformed());
            }
            bytes += scaled / scale;
        }
        u64::try_from(bytes).ok().filter(|bytes| *bytes <= EXACT_MAX).map(Self).ok_or_else(too_large)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Prints the largest binary unit that loses nothing: `2Gi`, `1536Mi`, `1000`.
impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS[..5].iter().rev().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        match exact {
            Some((name, factor)) => write!(out, "{}{name}", self.0 / factor),
            None => write!(out, "{}", self.0),
        }
    }
}
