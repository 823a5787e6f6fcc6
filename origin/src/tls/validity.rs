//! Until when a certificate is good: the one field of X.509 that nothing else here reads (RFC 5280 §4.1). A whole parser would bring ten
//! crates for it.

use std::time::SystemTime;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0]`, which the version of a certificate stands in.
const VERSION: u8 = 0xa0;

/// The end of the certificate in `der`; `None` where it says none that we can read, or none at all (the last second of the year 9999).
pub(super) fn not_after(der: &[u8]) -> Option<SystemTime> {
    let certificate = &mut inside(&mut { der }, SEQUENCE)?;
    let fields = &mut inside(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        inside(fields, VERSION)?;
    }
    inside(fields, INTEGER)?;
    // The algorithm of the signature and the issuer.
    inside(fields, SEQUENCE)?;
    inside(fields, SEQUENCE)?;
    let validity = &mut inside(fields, SEQUENCE)?;
    element(validity)?;
    let (tag, time) = element(validity)?;
    let text = std::str::from_utf8(time).ok()?;
    let text = match tag {
        // Two digits of the year: 1950 to 2049.
        UTC_TIME => format!("{}{text}", if text < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|time| time.timestamp().into())
}

/// The contents of the next element, which must have this tag.
fn inside<'a>(input: &mut &'a [u8], wanted: u8) -> Option<&'a [u8]> {
    element(input).filter(|(tag, _)| *tag == wanted).map(|(_, contents)| contents)
}

/// Takes the next element from `input`: its tag and its contents (X.690 §8.1, the definite form that DER allows).
fn element<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&[tag, length], rest) = input.split_first_chunk::<2>()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        let fits = (1..=4).contains(&digits.len());
        let length = digits.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit));
        fits.then_some((length, rest))?
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some((tag, contents))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(1999, 1, 1), date_time_ymd(year, 2, 3));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_is_read_in_both_forms() {
        for (year, seconds) in [(2001, 981_158_400), (2049, 2_495_923_200), (2050, 2_527_459_200)] {
            let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(not_after(&certificate(year)), Some(expected), "{year}");
        }
    }

    #[test]
    fn a_certificate_that_is_cut_off_says_nothing() {
        let der = certificate(2030);
        assert!((0..der.len()).all(|length| not_after(&der[..length]).is_none()));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), at in 0..300_usize) {
            let mut der = certificate(2030);
            let end = (at + bytes.len()).min(der.len());
            der.splice(at.min(end)..end, bytes.iter().copied());
            let _ = (not_after(&der), not_after(&bytes));
        }
    }
}
