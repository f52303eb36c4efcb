//! Client addresses, which rate limits go by.

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv6Addr};

/// Where a request comes from, as API Gateway or the connection says; headers are not asked, for anyone can write
/// them. An IPv6 address stands for its network of 64 bits, which one client has to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The address, with an IPv6 one cut to its network.
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
