//! Which `Host` and which `Origin` a request may carry.
//!
//! The `Host` check defeats DNS rebinding: a foreign name that was made to point here is not in
//! the list. The `Origin` check keeps foreign pages from opening websockets, which browsers allow
//! across origins. Both compare exactly, after lowering ASCII.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::WebError;

/// The configured names and origins beside what is always allowed.
#[derive(Debug, Default)]
pub(crate) struct AllowLists {
    hosts: HashSet<String>,
    origins: HashSet<String>,
}

impl AllowLists {
    /// Checks the entries of a configuration.
    pub(crate) fn new(hosts: &[String], origins: &[String]) -> Result<Self, WebError> {
        let host = |value: &String| {
            let lower = value.to_ascii_lowercase();
            let (name, port) = split_port(&lower).unwrap_or(("", None));
            let good = !name.is_empty() && port.is_none() && name.bytes().all(is_host_byte);
            good.then_some(lower.clone()).ok_or_else(|| WebError::AllowList {
                setting: "allowed_hosts",
                value: value.clone(),
                expected: "a host name or address without a port",
            })
        };
        let origin = |value: &String| {
            let lower = value.to_ascii_lowercase();
            let good = split_origin(&lower).is_some();
            good.then_some(lower.clone()).ok_or_else(|| WebError::AllowList {
                setting: "allowed_origins",
                value: value.clone(),
                expected: "an origin like https://desk.example.org, without a path",
            })
        };
        Ok(Self {
            hosts: hosts.iter().map(host).collect::<Result<_, _>>()?,
            origins: origins.iter().map(origin).collect::<Result<_, _>>()?,
        })
    }

    /// Whether a `Host` header names this server: loopback, the address that was connected to,
    /// or a configured name; any port, since proxies and port forwards change it.
    pub(crate) fn allows_host(&self, host: &str, local_ip: IpAddr) -> bool {
        let lower = host.to_ascii_lowercase();
        let Some((name, _)) = split_port(&lower) else { return false };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            let ip = ip.to_canonical();
            return ip.is_loopback() || ip == local_ip.to_canonical() || self.hosts.contains(name);
        }
        name == "localhost" || self.hosts.contains(name)
    }

    /// Whether pages of `origin` may connect: those of this very server (the origin's host and
    /// port are the allowed `Host`'s), or configured ones.
    pub(crate) fn allows_origin(&self, origin: &str, host: &str) -> bool {
        let lower = origin.to_ascii_lowercase();
        let own =
            split_origin(&lower).is_some_and(|authority| authority.eq_ignore_ascii_case(host));
        own || self.origins.contains(&lower)
    }
}

/// The host and port of an http or https origin.
fn split_origin(origin: &str) -> Option<&str> {
    let authority = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))?;
    let (name, _) = split_port(authority)?;
    let good = !name.is_empty() && name.bytes().all(is_host_byte);
    good.then_some(authority)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b':')
}

/// `name`, `name:port`, `[v6]` or `[v6]:port`, taken apart; the brackets stay.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (name, port) = authority.split_at(end);
    match port.strip_prefix(':') {
        Some(port) => Some((name, Some(port.parse().ok()?))),
        None => port.is_empty().then_some((name, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists() -> AllowLists {
        let hosts = ["klines.example.org".to_owned()];
        AllowLists::new(&hosts, &["https://desk.example.org".to_owned()]).unwrap()
    }

    #[test]
    fn only_names_of_this_server_are_its_hosts() {
        let local: IpAddr = "192.168.1.5".parse().unwrap();
        let check = |host: &str, allowed: bool| {
            assert_eq!(lists().allows_host(host, local), allowed, "{host}");
        };
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8080", "[::1]:8080", "127.9.9.9"] {
            check(host, true);
        }
        check("192.168.1.5:8080", true);
        check("klines.example.org:443", true);
        for host in ["evil.example", "192.168.1.6", "localhost.evil.example", "", ":80", "a b"] {
            check(host, false);
        }
        for host in ["localhost:99999", "localhost:x", "[::1", "[::1]x", "127.0.0.1.evil.example"] {
            check(host, false);
        }
    }

    #[test]
    fn only_own_and_configured_pages_are_origins() {
        let check = |origin: &str, allowed: bool| {
            assert_eq!(lists().allows_origin(origin, "localhost:8080"), allowed, "{origin}");
        };
        check("http://localhost:8080", true);
        check("https://localhost:8080", true);
        check("https://desk.example.org", true);
        for origin in ["null", "", "http://localhost:9999", "http://localhost", "file://"] {
            check(origin, false);
        }
        for origin in ["https://desk.example.org.evil.example", "http://desk.example.org"] {
            check(origin, false);
        }
    }

    #[test]
    fn an_entry_that_can_never_match_is_refused() {
        let hosts = |host: &str| AllowLists::new(&[host.to_owned()], &[]).is_err();
        assert!(hosts("a:80") && hosts("") && hosts("https://a") && hosts("a/b"));
        let origins = |origin: &str| AllowLists::new(&[], &[origin.to_owned()]).is_err();
        assert!(origins("desk.example.org") && origins("https://a/b") && origins("*"));
    }
}
