//! Which streams a path serves.

use klagg_wire::stream_name::StreamName;

/// The first part of a websocket's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    Market,
    /// Also every path that names no route: it answers, and delivers nothing of the market.
    Public,
    /// Nothing here is ever delivered.
    Private,
}

impl Route {
    pub(crate) const COUNT: usize = 3;

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Market => 0,
            Self::Public => 1,
            Self::Private => 2,
        }
    }

    pub(crate) fn of_path(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("market") => Self::Market,
            Some("private") => Self::Private,
            _ => Self::Public,
        }
    }

    /// Whether the stream is delivered on this route.
    pub(crate) fn serves(self, stream: &StreamName) -> bool {
        match self {
            Self::Market => !matches!(stream, StreamName::Trade(_)),
            Self::Public => matches!(stream, StreamName::Trade(_)),
            Self::Private => false,
        }
    }
}

/// The streams that a URL names: behind `/ws/`, or in `streams=`.
pub(crate) fn in_url(path: &str, query: &str) -> Vec<String> {
    let list = if let Some((_, list)) = path.split_once("/ws/") {
        Some(list)
    } else {
        query.split('&').find_map(|pair| pair.strip_prefix("streams="))
    };
    let names = list.unwrap_or_default().split('/').filter(|name| !name.is_empty());
    names.map(percent_decoded).collect()
}

/// Resolves `%E5%B8%81`; what is no such escape stays as it is.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(decoded) if byte == b'%' => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_read_from_both_kinds_of_url() {
        let check = |path: &str, query: &str, expected: &[&str]| {
            assert_eq!(in_url(path, query), expected, "{path}?{query}");
        };
        check("/market/ws", "", &[]);
        check(
            "/market/ws/btcusdt@aggTrade/!miniTicker@arr",
            "",
            &["btcusdt@aggTrade", "!miniTicker@arr"],
        );
        check(
            "/stream",
            "streams=btcusdt@aggTrade/ethusdt%40trade",
            &["btcusdt@aggTrade", "ethusdt@trade"],
        );
        check("/ws/%E5%B8%81%E5%AE%89usdt@trade", "", &["币安usdt@trade"]);
        check("/ws/100%@x", "", &["100%@x"]);
    }

    #[test]
    fn a_path_without_a_route_is_public() {
        assert_eq!(Route::of_path("/market/stream"), Route::Market);
        assert_eq!(Route::of_path("/private/ws"), Route::Private);
        for path in ["/ws", "/stream", "/public/ws/btcusdt@trade"] {
            assert_eq!(Route::of_path(path), Route::Public, "{path}");
        }
    }
}
