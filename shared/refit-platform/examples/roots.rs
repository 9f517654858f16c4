//! Prints Mozilla's roots of trust as PEM: the file an image needs whose clients ask the system for it.

use std::io::{self, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Letters of a line of PEM.
const LINE: usize = 64;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for root in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        writeln!(out, "-----BEGIN CERTIFICATE-----")?;
        for line in BASE64_STANDARD.encode(root).as_bytes().chunks(LINE) {
            out.write_all(line)?;
            writeln!(out)?;
        }
        writeln!(out, "-----END CERTIFICATE-----")?;
    }
    Ok(())
}
