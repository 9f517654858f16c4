//! How a place is named, which places are Google's, and where no request that a rule file names may lead: to the
//! machine's own metadata and to addresses that are no host's.
//!
//! Private addresses and this machine are not among them: pipeline services live there. A metadata server hands out the
//! credentials of the function to whoever can ask it; only the credentials of the function are asked for there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Names of metadata servers. What other names lead to is seen when they are resolved.
const METADATA_NAMES: [&str; 5] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
];
/// Metadata servers that lie beside the link-local addresses: Alibaba, Azure and Oracle.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// Those over IPv6: AWS, its EKS Pod Identity, Google and Scaleway.
const METADATA_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

/// Domains below which nobody answers but Google: they are sent access tokens. The second is that of the proxies before
/// Kubeflow Pipelines; below others of its parent, such as `bc.googleusercontent.com`, are customers' machines.
const GOOGLE: [&str; 2] = [".googleapis.com", ".pipelines.googleusercontent.com"];

/// Host and port, the port left out where it is the usual one: how a place is listed, and all of a URL an error names.
#[must_use]
pub fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether the place of a URL is among those listed.
#[must_use]
pub fn is_listed(url: &Url, places: &[String]) -> bool {
    let place = place(url);
    places.iter().any(|listed| listed.eq_ignore_ascii_case(&place))
}

/// Whether a token for this audience is for whoever answers at this URL: the audience is a URL of the same host.
#[must_use]
pub fn is_meant_for(audience: &str, url: &Url) -> bool {
    let audience = Url::parse(audience).ok();
    audience.is_some_and(|audience| audience.host().is_some() && audience.host() == url.host())
}

/// Whether a URL leads to Google, so that an access token may be sent there: over https, on the usual port.
#[must_use]
pub fn is_of_google(url: &Url) -> bool {
    let host = url.domain().unwrap_or_default();
    let below = |domain: &str| host.ends_with(domain);
    url.scheme() == "https" && url.port().is_none() && GOOGLE.into_iter().any(below)
}

/// Whether no request that a rule file names may lead to this address.
#[must_use]
pub fn is_closed(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_closed_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_closed_v4(inner),
            None => {
                address.is_unspecified()
                    || address.is_multicast()
                    || address.is_unicast_link_local()
                    || METADATA_V6.contains(&address)
            }
        },
    }
}

/// The same of the host of a URL, as far as that can be told without asking for its address.
#[must_use]
pub fn leads_nowhere(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            METADATA_NAMES.iter().any(|closed| closed.eq_ignore_ascii_case(name))
        }
        Some(Host::Ipv4(address)) => is_closed(address.into()),
        Some(Host::Ipv6(address)) => is_closed(address.into()),
        None => false,
    }
}

fn is_closed_v4(address: Ipv4Addr) -> bool {
    address.octets()[0] == 0
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || METADATA_V4.contains(&address)
}

/// The address of the older protocol within one of the newer: mapped, compatible, translated (SIIT, NAT64 by the
/// prefix of all and by those of a network) or tunnelled (6to4).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let from = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b, [c, d, e, f]) {
        _ if address.is_loopback() => None,
        (0, 0, [0, 0, 0, 0 | 0xffff] | [0, 0, 0xffff, 0])
        | (0x64, 0xff9b, [0, 0, 0, 0] | [1, ..]) => Some(from(g, h)),
        (0x2002, high, [low, ..]) => Some(from(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_servers_and_addresses_of_no_host_are_closed_however_they_are_written() {
        for (url, closed) in [
            ("http://169.254.169.254/computeMetadata/v1/", true),
            ("https://169.254.169.254/", true),
            ("http://169.254.170.2/", true),
            ("http://2852039166/", true),
            ("http://0xa9fea9fe/", true),
            ("http://0251.0376.0251.0376/", true),
            ("http://169.254.43518/", true),
            ("http://[::ffff:169.254.169.254]/", true),
            ("http://169.254.169.254./", true),
            ("http://169%2e254.169.254/", true),
            ("http://１６９.２５４.１６９.２５４/", true),
            ("http://x@169.254.169.254/", true),
            ("http://[::169.254.169.254]/", true),
            ("http://[::ffff:0:169.254.169.254]/", true),
            ("http://[64:ff9b::169.254.169.254]/", true),
            ("http://[64:ff9b:1::a9fe:a9fe]/", true),
            ("http://[64:ff9b:1:2::a9fe:a9fe]/", true),
            ("http://[2002:a9fe:a9fe::1]/", true),
            ("http://[fe80::1]/", true),
            ("http://[fd00:ec2::254]/", true),
            ("http://[fd00:ec2::23]/", true),
            ("http://[fd20:ce::254]/", true),
            ("http://[fd00:42::42]/", true),
            ("http://100.100.100.200/", true),
            ("http://168.63.129.16/", true),
            ("http://192.0.0.192/", true),
            ("http://0.0.0.0/", true),
            ("http://0/", true),
            ("http://0.1.2.3/", true),
            ("http://[::]/", true),
            ("http://224.0.0.1/", true),
            ("http://255.255.255.255/", true),
            ("http://[ff02::1]/", true),
            ("http://metadata/", true),
            ("http://metadata.google.internal/", true),
            ("http://METADATA.google.internal./", true),
            ("http://metadata.goog/", true),
            ("http://instance-data/", true),
            ("http://instance-data.ec2.internal/", true),
            ("http://127.0.0.1:8377/", false),
            ("http://[::1]/", false),
            ("http://10.1.2.3/", false),
            ("http://192.168.0.1/", false),
            ("http://172.16.0.1/", false),
            ("http://100.64.0.1/", false),
            ("http://[fd00::1]/", false),
            ("http://[::10.1.2.3]/", false),
            ("http://[64:ff9b::8.8.8.8]/", false),
            ("http://[64:ff9b:1::10.1.2.3]/", false),
            ("http://ml-pipeline.kubeflow.svc:8888/", false),
            ("https://metadata.google.internal.example/", false),
            ("https://kfp.acme.example/169.254.169.254", false),
        ] {
            assert_eq!(leads_nowhere(&url.parse().unwrap()), closed, "{url}");
        }
    }
}
