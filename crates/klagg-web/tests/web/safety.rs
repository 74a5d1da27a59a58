//! Forged names, half requests, too many of everything.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Desk, config, connect, desk, send, until};
use crate::pipeline;

async fn status(desk: &Desk, request: &str) -> u16 {
    send(desk.running.address, request.as_bytes()).await.status
}

#[tokio::test]
async fn forged_hosts_and_origins_are_turned_away_before_anything_else() {
    let desk = desk(config()).await;
    let own = desk.running.address.to_string();
    let own_origin = format!("http://{own}");
    for (host, origin, expected) in [
        (Some(own.as_str()), None, 200),
        (Some("localhost:1"), None, 200),
        (Some("klines.example.org"), None, 200),
        (Some(own.as_str()), Some(own_origin.as_str()), 200),
        (Some(own.as_str()), Some("https://desk.example.org"), 200),
        (Some("evil.example"), None, 403),
        (Some("127.0.0.1.evil.example"), None, 403),
        (Some(""), None, 403),
        (None, None, 403),
        (Some(own.as_str()), Some("http://evil.example"), 403),
        (Some(own.as_str()), Some("http://127.0.0.1:1"), 403),
        (Some(own.as_str()), Some("null"), 403),
        (Some("evil.example"), Some("http://evil.example"), 403),
    ] {
        let mut headers = String::new();
        if let Some(host) = host {
            headers.push_str(&format!("host: {host}\r\n"));
        }
        if let Some(origin) = origin {
            headers.push_str(&format!("origin: {origin}\r\n"));
        }
        let request = format!("GET /fapi/v1/ping HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
        assert_eq!(status(&desk, &request).await, expected, "{host:?} {origin:?}");
        for path in ["/ws/kline/live", "/market/ws", "/stream"] {
            let upgrade = format!(
                "GET {path} HTTP/1.1\r\n{headers}connection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            );
            let expected = if expected == 200 { 101 } else { 403 };
            let mut stream = TcpStream::connect(desk.running.address).await.unwrap();
            stream.write_all(upgrade.as_bytes()).await.unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).await.unwrap();
            let expected = format!("HTTP/1.1 {expected}");
            assert_eq!(String::from_utf8_lossy(&first), expected, "{path} {host:?} {origin:?}");
        }
    }
    let two = "GET http://evil.example/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(status(&desk, two).await, 403);
    let twice =
        "GET / HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert_eq!(status(&desk, twice).await, 403);
}

#[tokio::test]
async fn a_websocket_without_an_origin_can_be_refused() {
    let mut config = config();
    config.missing_origin = klagg_web::MissingOrigin::Refuse;
    let desk = desk(config).await;
    let address = desk.running.address;
    assert_eq!(connect(address, "/ws", &[]).await.err(), Some(403));
    let origin = format!("http://{address}");
    assert!(connect(address, "/ws", &[("origin", &origin)]).await.is_ok());
    assert_eq!(desk.get("/fapi/v1/ping").await.status, 200, "a plain request needs none");
}

#[tokio::test]
async fn hostile_paths_and_requests_find_nothing() {
    let desk = desk(config()).await;
    for path in [
        "/../../etc/passwd",
        "/page/../../Cargo.toml",
        "/page/%2e%2e%2f%2e%2e%2fCargo.toml",
        "/page/..%5c..%5cCargo.toml",
        "/page/",
        "/page/style.css%00.html",
        "/page/npm/package.json",
        "/%00",
        "//",
        "/fapi/v1/klines/",
        "/metrics",
        "/healthz",
        "/%F0%9F%92%A9",
    ] {
        let reply = desk.get(path).await;
        assert_eq!((reply.status, reply.json()["code"].as_i64()), (404, Some(-5000)), "{path}");
    }
    let host = desk.running.address;
    for (request, expected) in [
        (format!("GET /{} HTTP/1.1\r\nhost: {host}\r\n\r\n", "a".repeat(70_000)), [414, 431]),
        (format!("GET / HTTP/1.1\r\nhost: {host}\r\n{}\r\n", "x: y\r\n".repeat(200)), [431, 431]),
        (
            format!("GET / HTTP/1.1\r\nhost: {host}\r\nx: {}\r\n\r\n", "y".repeat(20_000)),
            [431, 431],
        ),
        ("EHLO example.org\r\n\r\n".to_owned(), [400, 400]),
        ("\x16\x03\x01\x02\x00\x01\r\n\r\n".to_owned(), [400, 400]),
        (format!("GET / HTTP/1.1\r\nhost: {host}\r\ncontent-length: x\r\n\r\n"), [400, 400]),
    ] {
        let found = status(&desk, &request).await;
        let start: String = request.chars().take(20).collect();
        assert!(expected.contains(&found), "{found} for {start}");
    }
}

#[tokio::test]
async fn silent_and_half_requests_are_cut() {
    let mut config = config();
    config.limits.header_timeout = Duration::from_millis(100);
    let desk = desk(config).await;
    for start in ["", "GET / HTTP/1.1\r\nhost: localh"] {
        let mut stream = TcpStream::connect(desk.running.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        let read = tokio::time::timeout(Duration::from_secs(30), read).await;
        assert!(read.is_ok(), "still open after {start:?}");
    }
    until("their places are free", async || desk.figure("klagg_web_connections").await == 0.0)
        .await;
}

#[tokio::test]
async fn connections_and_requests_are_bounded() {
    let mut config = config();
    config.limits.connections_per_ip_max = 2;
    config.limits.requests_per_second_per_ip = 3;
    let desk = desk(config).await;
    let address = desk.running.address;
    let first = connect(address, "/ws", &[]).await.unwrap();
    let _second = connect(address, "/ws", &[]).await.unwrap();
    let mut third = TcpStream::connect(address).await.unwrap();
    let mut answer = String::new();
    third.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(first);
    until("a place is free", async || desk.figure("klagg_web_connections").await < 2.0).await;
    let mut last = 0;
    for _ in 0..20 {
        last = desk.get("/fapi/v1/ping").await.status;
        if last != 200 {
            break;
        }
        // The place of a connection is free a moment after its answer.
        until("free", async || desk.figure("klagg_web_connections").await < 2.0).await;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn a_busy_port_is_named() {
    let first = desk(config()).await;
    let mut config = config();
    config.listen = first.running.address;
    let (_market, seams) = pipeline::Market::new(vec![pipeline::listed("A", 2, 3)], 10, None);
    let error = pipeline::run(config, seams.parts).await.err().unwrap();
    let text = error.to_string();
    assert!(text.contains(&first.running.address.to_string()), "{text}");
    assert!(text.starts_with("cannot listen on"), "{text}");
}
