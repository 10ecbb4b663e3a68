//! Which hosts are reached without a proxy, as curl(1) reads `no_proxy`.

use std::net::IpAddr;

/// A list of hosts, domains and networks.
#[derive(Debug, Clone, Default)]
pub(super) struct NoProxy(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Every,
    /// This name and those below it.
    Name(String),
    /// Addresses with the same first bits.
    Network(IpAddr, u32),
}

impl NoProxy {
    /// Reads a list whose entries stand between commas or spaces. What is none of them matches nothing.
    pub(super) fn read(list: &str) -> Self {
        let words = list.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|word| !word.is_empty());
        Self(words.filter_map(Entry::read).collect())
    }

    /// Whether a host, as it stands in a URL and without brackets, is one of these.
    pub(super) fn has(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let ip = host.parse::<IpAddr>().ok();
        self.0.iter().any(|entry| match (entry, ip) {
            (Entry::Every, _) => true,
            (Entry::Network(network, bits), Some(ip)) => is_within(ip, *network, *bits),
            // No address is below another: 1.2.3.4 is none of the domain 3.4.
            (Entry::Name(name), None) => {
                host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            _ => false,
        })
    }
}

impl Entry {
    fn read(word: &str) -> Option<Self> {
        if word == "*" {
            return Some(Self::Every);
        }
        let (place, bits) = word.split_once('/').map_or((word, None), |(place, bits)| (place, Some(bits)));
        let bare = place.strip_prefix('[').and_then(|place| place.strip_suffix(']')).unwrap_or(place);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            let most = if ip.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|&bits| bits <= most))?;
            return Some(Self::Network(ip, bits));
        }
        if bits.is_some() {
            return None;
        }
        // `.example.org` and `example.org.` are the domain too.
        let name = place.strip_prefix('.').unwrap_or(place);
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        // Names beyond ASCII are written in URLs as DNS has them.
        let name = match url::Host::parse(&name) {
            Ok(url::Host::Domain(name)) => name,
            _ => name,
        };
        (!name.is_empty()).then_some(Self::Name(name))
    }
}

fn is_within(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (ip.to_canonical(), network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            (u32::from(ip) ^ u32::from(network)).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        _ => match (ip, network) {
            (IpAddr::V6(ip), IpAddr::V6(network)) => {
                (u128::from(ip) ^ u128::from(network)).checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_curl_reads_it() {
        for (list, host, expected) in [
            ("*", "anything", true),
            ("a, *", "anything", true),
            ("", "a", false),
            ("example.org", "example.org", true),
            ("example.org", "www.example.org", true),
            ("example.org", "notexample.org", false),
            ("example.org", "example.org.evil", false),
            (".example.org", "example.org", true),
            (".example.org", "a.b.example.org", true),
            ("example.org.", "example.org", true),
            ("example.org", "www.example.org.", true),
            ("EXAMPLE.org", "Example.Org", true),
            ("a b,\tc ,,d", "c", true),
            ("a b,c d", "d", true),
            ("a b", "b", true),
            ("bücher.example", "xn--bcher-kva.example", true),
            ("[::1]", "::1", true),
            ("::1", "::1", true),
            ("0:0:0:0:0:0:0:1", "::1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "1127.0.0.1", false),
            ("0.0.1", "127.0.0.1", false),
            ("192.168.0.0/16", "192.168.200.1", true),
            ("192.168.0.0/16", "192.169.0.1", false),
            ("192.168.0.0/0", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/x", "10.0.0.0", false),
            ("10.0.0.0/", "10.0.0.0", false),
            ("fe80::/10", "fe80::1", true),
            ("fe80::/10", "fec0::1", false),
            ("[2001:db8::]/32", "2001:db8:1::1", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "ten", false),
        ] {
            assert_eq!(NoProxy::read(list).has(host), expected, "`{list}` {host}");
        }
    }
}
