//! Client addresses, by which requests are rate-limited.

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv6Addr};

/// The address that a request comes from, according to API Gateway, the connection or a trusted proxy. An IPv6 address is cut to its /64 network, because one client controls all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// Cuts an IPv6 address to its /64 network, and converts an IPv4-mapped one to IPv4.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }
}

impl Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
