//! Bytes of an entry: little-endian numbers, numbers of seven bits a byte, texts with their length before them.

/// What is wrong with the bytes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The first byte says a form that this program does not know: a newer one wrote it.
    #[error("form {0} of an entry is newer than this program, which knows up to {newest}", newest = super::entry::FORM)]
    Form(u8),
    /// It ends too soon.
    #[error("the entry ends in the middle of its {0}")]
    Short(&'static str),
    /// Something stands behind its end.
    #[error("{0} bytes stand behind the end of the entry")]
    Long(usize),
    /// A value that cannot be.
    #[error("the entry has a wrong {0}")]
    Wrong(&'static str),
}

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads from the front.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let (front, rest) = self.0.split_at_checked(count).ok_or(WireError::Short(what))?;
        self.0 = rest;
        Ok(front)
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, WireError> {
        Ok(self.take(1, what)?[0])
    }

    pub(crate) fn number(&mut self, what: &'static str) -> Result<u64, WireError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(WireError::Wrong(what));
            }
            number |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(WireError::Wrong(what))
    }

    /// A count or length of `max` at most.
    pub(crate) fn length(&mut self, max: usize, what: &'static str) -> Result<usize, WireError> {
        let length = usize::try_from(self.number(what)?).map_err(|_| WireError::Wrong(what))?;
        if length > max { Err(WireError::Wrong(what)) } else { Ok(length) }
    }

    pub(crate) fn text(&mut self, max: usize, what: &'static str) -> Result<&'a str, WireError> {
        let length = self.length(max, what)?;
        std::str::from_utf8(self.take(length, what)?).map_err(|_| WireError::Wrong(what))
    }

    pub(crate) fn end(self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::Long(self.0.len())) }
    }
}
