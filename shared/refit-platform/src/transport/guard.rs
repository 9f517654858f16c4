//! Names that lead to a metadata server lead nowhere, whoever says so: looked at in the very answer that is connected to.

use std::io;
use std::net::SocketAddr;

use refit_wire::address::is_closed;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names as the system does, and refuses one that leads to a closed address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard;

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is put in by whoever asks.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let open = open(found.collect())?;
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}

/// The addresses, if none of them is closed: an answer with one that is was made to deceive.
fn open(found: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    match found.iter().any(|address| is_closed(address.ip())) {
        false => Ok(found),
        true => Err(io::Error::other("its name leads to a metadata server, or to no host")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_a_closed_address_is_refused_whole() {
        let all = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        for (addresses, may) in [
            (&["10.0.0.1:0", "[fd00::1]:0"][..], true),
            (&["127.0.0.1:0"], true),
            (&["8.8.8.8:0", "169.254.169.254:0"], false),
            (&["[::ffff:169.254.169.254]:0"], false),
            (&["[fd00:ec2::254]:0", "10.0.0.1:0"], false),
            (&["0.0.0.0:0"], false),
        ] {
            assert_eq!(open(all(addresses)).is_ok(), may, "{addresses:?}");
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_resolved() {
        let found = Guard.resolve("localhost".parse().unwrap()).await.unwrap();
        assert!(found.map(|address| address.ip()).all(|address| address.is_loopback()));
    }
}
