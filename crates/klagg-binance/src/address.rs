//! Which addresses may be spoken to: encrypted everywhere, plain only within this machine.

use std::net::IpAddr;

use crate::BinanceError;

/// Where unencrypted `http` and `ws` are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainText {
    /// Only to `localhost`, `127.0.0.0/8` and `::1`.
    LoopbackOnly,
    /// Anywhere: for a simulated exchange in a trusted network.
    Anywhere,
}

/// What a base address is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Rest,
    Stream,
}

/// Whether an address is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Encrypted,
    Plain,
}

/// Checks `address`; gives it without a trailing slash.
pub(crate) fn check_address(
    address: &str,
    purpose: Purpose,
    plain_text: PlainText,
) -> Result<(String, Scheme), BinanceError> {
    let refuse = |reason| Err(BinanceError::Address { address: address.to_owned(), reason });
    let (encrypted, plain, expected) = match purpose {
        Purpose::Rest => ("https://", "http://", "it must start with https:// or http://"),
        Purpose::Stream => ("wss://", "ws://", "it must start with wss:// or ws://"),
    };
    let (scheme, rest) = if let Some(rest) = address.strip_prefix(encrypted) {
        (Scheme::Encrypted, rest)
    } else if let Some(rest) = address.strip_prefix(plain) {
        (Scheme::Plain, rest)
    } else {
        return refuse(expected);
    };
    let host_and_port = rest.split('/').next().unwrap_or_default();
    if host_and_port.is_empty() {
        return refuse("it names no host");
    }
    if rest.contains(['?', '#', '@', ' ', '\\']) {
        return refuse("only a host, a port and a path are expected");
    }
    if scheme == Scheme::Plain && plain_text == PlainText::LoopbackOnly && !is_loopback(rest) {
        return refuse("unencrypted traffic is allowed to this machine only");
    }
    Ok((address.trim_end_matches('/').to_owned(), scheme))
}

/// Whether `host[:port][/path]` names this machine.
fn is_loopback(rest: &str) -> bool {
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_within_the_machine() {
        let check = |address: &str, purpose: Purpose, allowed: bool| {
            let result = check_address(address, purpose, PlainText::LoopbackOnly);
            assert_eq!(result.is_ok(), allowed, "{address}: {result:?}");
        };
        check("https://fapi.binance.com", Purpose::Rest, true);
        check("wss://fstream.binance.com/", Purpose::Stream, true);
        check("http://127.0.0.1:8080", Purpose::Rest, true);
        check("http://[::1]:8080", Purpose::Rest, true);
        check("ws://localhost:9", Purpose::Stream, true);
        check("http://fapi.binance.com", Purpose::Rest, false);
        check("http://127.0.0.1.evil.example", Purpose::Rest, false);
        check("http://127.0.0.1@evil.example", Purpose::Rest, false);
        check("http://evil.example/127.0.0.1", Purpose::Rest, false);
        check("ws://127.0.0.1", Purpose::Rest, false);
        check("https://", Purpose::Rest, false);
        check("fapi.binance.com", Purpose::Rest, false);
        check("https://fapi.binance.com/?x=1", Purpose::Rest, false);
    }

    #[test]
    fn plain_text_elsewhere_is_an_explicit_choice() {
        let checked = check_address("http://exchange.lan:80/", Purpose::Rest, PlainText::Anywhere);
        assert_eq!(checked.unwrap(), ("http://exchange.lan:80".to_owned(), Scheme::Plain));
    }
}
