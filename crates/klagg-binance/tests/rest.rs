//! The REST client against a small server on loopback that misbehaves on purpose.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use klagg_binance::{
    Backoff, BinanceError, KlineQuery, PlainText, Priority, RestClient, RestConfig, Tls,
};
use klagg_kline::{Period, UnixMillis};

/// Answers that are given one after the other, and the requests that came.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Response>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Script {
    fn answer(&self, status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> &Self {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        self.answers.lock().unwrap().push_back(response.body(body.into()).unwrap());
        self
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Serves the script; gives a client for it. The server ends with the test's runtime.
    async fn client(&self, attempts_max: u32) -> RestClient {
        async fn handle(State(script): State<Script>, request: Request) -> Response {
            script.requests.lock().unwrap().push(request.uri().to_string());
            let answer = script.answers.lock().unwrap().pop_front();
            answer.unwrap_or_else(|| {
                Response::builder().status(500).body("script over".into()).unwrap()
            })
        }
        let app = Router::new().fallback(handle).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        client(&format!("http://{address}"), attempts_max).unwrap()
    }
}

fn client(base_url: &str, attempts_max: u32) -> Result<RestClient, BinanceError> {
    let config = RestConfig {
        base_url: base_url.to_owned(),
        plain_text: PlainText::LoopbackOnly,
        user_agent: "klagg-test".to_owned(),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        attempts_max,
        backoff: Backoff { floor: Duration::from_millis(1), ceiling: Duration::from_millis(4) },
        weight_per_minute: 2_400,
        weight_share_percent: 80,
    };
    RestClient::new(config, &Tls::new()?)
}

fn kline_row(minute: i64) -> String {
    let open = minute * 60_000;
    let close = open + 59_999;
    format!(r#"[{open},"10.0","12.0","9.0","11.0","5.0",{close},"52.5",3,"2.0","21.0","0"]"#)
}

fn query(start: i64, end: i64, limit: u16) -> KlineQuery {
    let time = |minute: i64| Some(UnixMillis(minute * 60_000));
    KlineQuery { start: time(start), end: time(end), limit }
}

#[tokio::test]
async fn klines_are_asked_with_percent_encoded_names_and_exact_bounds() {
    let script = Script::default();
    script.answer(200, &[("x-mbx-used-weight-1m", "700")], format!("[{}]", kline_row(10)));
    let client = script.client(1).await;
    let klines =
        client.klines("币安人生USDT", Period::M1, query(10, 11, 99), Priority::Bulk).await.unwrap();
    assert_eq!(klines.len(), 1);
    assert_eq!(klines[0].open_time, UnixMillis(600_000));
    let expected = "/fapi/v1/klines?symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT\
                    &interval=1m&startTime=600000&endTime=660000&limit=99";
    assert_eq!(script.requests(), [expected]);
    assert_eq!(client.weight().used_at_exchange, 700, "the exchange's own count is taken over");
    assert_eq!(client.weight().used, 1);
}

#[tokio::test]
async fn what_may_pass_is_asked_again_and_what_cannot_is_not() {
    let script = Script::default();
    script
        .answer(503, &[], "Service Unavailable.")
        .answer(200, &[], "<html>not JSON</html>")
        .answer(200, &[], format!("[{}]", kline_row(9)))
        .answer(200, &[], format!("[{},{}]", kline_row(10), kline_row(11)))
        .answer(400, &[], r#"{"code":-1121,"msg":"Invalid symbol."}"#);
    let client = script.client(4).await;
    let klines =
        client.klines("BTCUSDT", Period::M1, query(10, 11, 2), Priority::Urgent).await.unwrap();
    assert_eq!(klines.len(), 2);
    let counts = client.counts();
    assert_eq!((counts.requests, counts.unavailable, counts.pages_rejected), (4, 1, 2));
    let error = client.klines("NOSUCH", Period::M1, query(10, 11, 2), Priority::Urgent).await;
    let Err(BinanceError::Refused { status: 400, code: -1121, .. }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(client.counts().requests, 5, "a refusal is final");
}

#[tokio::test]
async fn packed_answers_are_asked_for_and_the_cap_counts_what_comes_out() {
    let pack = |text: &[u8]| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(text).unwrap();
        packed.finish().unwrap()
    };
    let script = Script::default();
    let gzip = [("content-encoding", "gzip")];
    script.answer(200, &gzip, pack(br#"{"serverTime":1791362591474}"#)).answer(
        200,
        &gzip,
        pack(&vec![b' '; 1 << 20]),
    );
    let client = script.client(1).await;
    let time = client.server_time(Priority::Urgent).await.unwrap();
    assert_eq!(time, UnixMillis(1_791_362_591_474));
    let error = client.server_time(Priority::Urgent).await.unwrap_err();
    assert!(matches!(error, BinanceError::BodyTooLong { .. }), "{error}");
}

#[tokio::test]
async fn attempts_are_bounded() {
    let script = Script::default();
    let client = script.client(3).await;
    let error = client.server_time(Priority::Urgent).await.unwrap_err();
    assert!(matches!(error, BinanceError::Unavailable { status: 500, .. }), "{error}");
    assert_eq!(script.requests().len(), 3);
}

#[tokio::test]
async fn refusals_of_the_exchange_block_every_later_request() {
    let check = async |status: u16, headers: &[(&str, &str)], body: &str, blocked_ms: i64| {
        let script = Script::default();
        script.answer(status, headers, body.to_owned());
        let client = script.client(1).await;
        let error = client.server_time(Priority::Urgent).await.unwrap_err();
        let BinanceError::Limited { status: told, until } = error else { panic!("{error}") };
        assert_eq!(told, status);
        let now = client.clock().local();
        let blocked = until.since(now);
        assert!((blocked_ms - 5_000..=blocked_ms).contains(&blocked), "{status}: {blocked} ms");
        assert_eq!(client.weight().blocked_until, Some(until));
        let second = client.server_time(Priority::Urgent);
        let waited = tokio::time::timeout(Duration::from_millis(20), second).await;
        assert!(waited.is_err(), "nothing is sent while the refusal lasts");
        assert_eq!(script.requests().len(), 1);
    };
    check(429, &[("retry-after", "30")], r#"{"code":-1003,"msg":"Too many"}"#, 30_000).await;
    check(403, &[], "<html>WAF</html>", 60_000).await;
    check(418, &[("retry-after", "9000")], "{}", 9_000_000).await;
}

#[tokio::test]
async fn redirects_are_not_followed_and_long_bodies_not_kept() {
    let script = Script::default();
    script.answer(302, &[("location", "/fapi/v1/time")], "").answer(
        200,
        &[],
        vec![b' '; (64 << 10) + 1],
    );
    let client = script.client(1).await;
    let error = client.server_time(Priority::Urgent).await.unwrap_err();
    assert!(matches!(error, BinanceError::Refused { status: 302, .. }), "{error}");
    let error = client.server_time(Priority::Urgent).await.unwrap_err();
    assert!(matches!(error, BinanceError::BodyTooLong { .. }), "{error}");
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test]
async fn the_exchanges_clock_and_limit_are_taken_over() {
    let script = Script::default();
    script.answer(200, &[], r#"{"serverTime":4102444800000}"#).answer(
        200,
        &[],
        r#"{"serverTime":4102444800000,"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT",
            "interval":"MINUTE","intervalNum":1,"limit":6000}],"symbols":[]}"#,
    );
    let client = script.client(1).await;
    client.server_time(Priority::Urgent).await.unwrap();
    let distance = client.clock().exchange().since(UnixMillis(4_102_444_800_000));
    assert!((0..60_000).contains(&distance), "{distance}");
    let (info, raw) = client.exchange_info(Priority::Urgent).await.unwrap();
    assert_eq!(info.weight_per_minute, Some(6_000));
    assert!(raw.starts_with(b"{\"serverTime\""));
    assert_eq!(client.weight().allowance, 4_800);
}

#[test]
fn addresses_and_numbers_that_cannot_work_are_refused_with_a_sentence() {
    let error = client("http://fapi.binance.com", 1).unwrap_err();
    let expected = "address `http://fapi.binance.com` cannot be used: unencrypted traffic is \
                    allowed to this machine only";
    assert_eq!(error.to_string(), expected);
    let error = client("https://fapi.binance.com", 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "setting `attempts_max` cannot be 0: at least one attempt is needed"
    );
}
