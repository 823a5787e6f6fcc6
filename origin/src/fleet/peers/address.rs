//! Where a pod answers others, and how: as it says itself, so that pods of two settings talk while one replaces the other.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};
use std::str::FromStr;

/// What stands before an address that speaks TLS.
const TLS: &str = "tls://";

/// The address of a peer port: `10.0.0.1:8082`, or `tls://10.0.0.1:8082`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    socket: SocketAddr,
    is_encrypted: bool,
}

impl Address {
    /// What is at this socket, encrypted or not.
    pub const fn new(socket: SocketAddr, is_encrypted: bool) -> Self {
        Self { socket, is_encrypted }
    }

    /// Its socket.
    pub const fn socket(&self) -> SocketAddr {
        self.socket
    }

    /// An address that is spoken to by TLS or not, as a pod tells it to others. It need not be of this form: nobody can ask then.
    pub fn told(address: &str, is_encrypted: bool) -> String {
        let scheme = if is_encrypted { TLS } else { "" };
        format!("{scheme}{address}")
    }

    /// The beginning of every URL there.
    pub fn base(&self) -> String {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.socket)
    }
}

impl FromStr for Address {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encrypted = text.strip_prefix(TLS);
        Ok(Self::new(encrypted.unwrap_or(text).parse()?, encrypted.is_some()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&Self::told(&self.socket.to_string(), self.is_encrypted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        for (text, base) in [
            ("10.0.0.1:8082", "http://10.0.0.1:8082"),
            ("tls://10.0.0.1:8082", "https://10.0.0.1:8082"),
            ("tls://[fd00::1]:8082", "https://[fd00::1]:8082"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.base().as_str()), (text, base));
        }
        for text in ["", "tls://", "10.0.0.1", "http://10.0.0.1:8082", "tls://pod:8082"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
