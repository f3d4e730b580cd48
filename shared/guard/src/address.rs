//! Which addresses an untrusted URL may reach: public unicast alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not for the public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inside {
    Unspecified,
    Loopback,
    Private,
    /// RFC 6598, carriers' NAT (and Alibaba's metadata service).
    CarrierNat,
    /// RFC 3927 and RFC 4291 (and most clouds' metadata service).
    LinkLocal,
    /// A cloud's metadata service outside the ranges above.
    Metadata,
    Multicast,
    Documentation,
    /// RFC 2544.
    Benchmarking,
    /// RFC 6890's other special ranges, and what nobody was given.
    Reserved,
    /// 6to4, Teredo, IPv4-compatible: an IPv4 address in disguise.
    Tunnel,
}

impl Inside {
    /// A word for logs and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::CarrierNat => "carrier NAT",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata",
            Self::Multicast => "multicast",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Reserved => "reserved",
            Self::Tunnel => "tunnel",
        }
    }
}

/// Azure's metadata and health service, in a public range.
const AZURE_WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// `None` for a public address (IANA special-purpose registries, RFC 6890).
/// IPv4 addresses inside IPv6 ones (mapped, NAT64) are judged as IPv4.
#[must_use]
pub fn inside(address: IpAddr) -> Option<Inside> {
    match address {
        IpAddr::V4(v4) => inside_v4(v4),
        IpAddr::V6(v6) => inside_v6(v6),
    }
}

fn inside_v4(v4: Ipv4Addr) -> Option<Inside> {
    let [a, b, c, _] = v4.octets();
    Some(match (a, b, c) {
        _ if v4 == AZURE_WIRE_SERVER => Inside::Metadata,
        (0, ..) => Inside::Unspecified,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Inside::Private,
        (100, 64..=127, _) => Inside::CarrierNat,
        (127, ..) => Inside::Loopback,
        (169, 254, _) => Inside::LinkLocal,
        (192, 0, 0) => Inside::Reserved,
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => Inside::Documentation,
        (192, 88, 99) => Inside::Tunnel,
        (198, 18..=19, _) => Inside::Benchmarking,
        (224..=239, ..) => Inside::Multicast,
        (240..=255, ..) => Inside::Reserved,
        _ => return None,
    })
}

fn inside_v6(v6: Ipv6Addr) -> Option<Inside> {
    if let Some(v4) = v6.to_ipv4_mapped() {
        return inside_v4(v4);
    }
    let [a, b, c, d, e, f, g, h] = v6.segments();
    // RFC 6052's well-known prefix: where DNS64 puts every IPv4 host.
    if [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [w, x] = g.to_be_bytes();
        let [y, z] = h.to_be_bytes();
        return inside_v4(Ipv4Addr::new(w, x, y, z));
    }
    Some(match (a, b) {
        _ if v6.is_unspecified() => Inside::Unspecified,
        _ if v6.is_loopback() => Inside::Loopback,
        (0, 0) => Inside::Tunnel,
        (0xff00..=0xffff, _) => Inside::Multicast,
        (0xfe80..=0xfebf, _) => Inside::LinkLocal,
        // unique local, and the site-local ones before them
        (0xfc00..=0xfdff | 0xfec0..=0xfeff, _) => Inside::Private,
        (0x2001, 0x0db8) | (0x3fff, 0..=0x0fff) => Inside::Documentation,
        (0x2001, 0) | (0x2002, _) => Inside::Tunnel,
        (0x2001, 0x0002) => Inside::Benchmarking,
        (0x2001, 0..=0x01ff) => Inside::Reserved,
        (0x2000..=0x3fff, _) => return None,
        _ => Inside::Reserved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_range_is_inside() {
        let table = [
            ("0.0.0.0", Inside::Unspecified),
            ("0.1.2.3", Inside::Unspecified),
            ("10.255.0.1", Inside::Private),
            ("100.64.0.1", Inside::CarrierNat),
            ("100.100.100.200", Inside::CarrierNat),
            ("127.0.0.1", Inside::Loopback),
            ("127.255.255.254", Inside::Loopback),
            ("168.63.129.16", Inside::Metadata),
            ("169.254.169.254", Inside::LinkLocal),
            ("172.16.0.1", Inside::Private),
            ("172.31.255.255", Inside::Private),
            ("192.0.0.192", Inside::Reserved),
            ("192.0.2.1", Inside::Documentation),
            ("192.88.99.1", Inside::Tunnel),
            ("192.168.1.1", Inside::Private),
            ("198.18.0.1", Inside::Benchmarking),
            ("198.51.100.7", Inside::Documentation),
            ("203.0.113.9", Inside::Documentation),
            ("224.0.0.1", Inside::Multicast),
            ("240.0.0.1", Inside::Reserved),
            ("255.255.255.255", Inside::Reserved),
            ("::", Inside::Unspecified),
            ("::1", Inside::Loopback),
            ("::127.0.0.1", Inside::Tunnel),
            ("::ffff:127.0.0.1", Inside::Loopback),
            ("::ffff:169.254.169.254", Inside::LinkLocal),
            ("::ffff:0:127.0.0.1", Inside::Tunnel),
            ("64:ff9b::7f00:1", Inside::Loopback),
            ("64:ff9b::10.0.0.1", Inside::Private),
            ("64:ff9b:1::1", Inside::Reserved),
            ("100::1", Inside::Reserved),
            ("2001::1", Inside::Tunnel),
            ("2001:2::1", Inside::Benchmarking),
            ("2001:20::1", Inside::Reserved),
            ("2001:db8::1", Inside::Documentation),
            ("2002:7f00:1::", Inside::Tunnel),
            ("3fff::1", Inside::Documentation),
            ("5f00::1", Inside::Reserved),
            ("fc00::1", Inside::Private),
            ("fd00:ec2::254", Inside::Private),
            ("fe80::1", Inside::LinkLocal),
            ("fec0::1", Inside::Private),
            ("ff02::1", Inside::Multicast),
        ];
        for (text, expected) in table {
            assert_eq!(inside(text.parse().unwrap()), Some(expected), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_let_through() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert_eq!(inside(text.parse().unwrap()), None, "{text}");
        }
    }
}
