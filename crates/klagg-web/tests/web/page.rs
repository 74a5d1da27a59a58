//! The page's files and what they may not hold.

use klagg_web::{BackfillStatus, FeedStatus};

use crate::client::{config, desk, send};

const FILES: [&str; 8] =
    ["style.css", "app.js", "chart.js", "feed.js", "format.js", "list.js", "series.js", "table.js"];

#[tokio::test]
async fn the_page_is_served_under_a_strict_policy() {
    let desk = desk(config()).await;
    let page = desk.get("/").await;
    assert_eq!(page.status, 200);
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'self';",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "x-frame-options: deny",
    ] {
        assert!(page.head.contains(header), "{header} in {}", page.head);
    }
    assert!(!page.head.contains("access-control"), "{}", page.head);
    assert!(page.body.contains("https://www.tradingview.com/"), "the licence asks for the link");
    for script in page.body.split("<script").skip(1) {
        assert!(script.contains("src=\"/page/"), "no inline script: {script:.40}");
    }
    assert!(!page.body.contains("<style") && !page.body.contains(" style="));
    assert!(!page.body.contains(" on") || !page.body.contains("onclick"));
    for name in FILES {
        let file = desk.get(&format!("/page/{name}")).await;
        assert_eq!(file.status, 200, "{name}");
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
        {
            assert!(!file.body.contains(forbidden), "{forbidden} in {name}");
        }
        let tag = file.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        let request = format!(
            "GET /page/{name} HTTP/1.1\r\nhost: localhost\r\nif-none-match: {tag}\r\n\
             connection: close\r\n\r\n"
        );
        let again = send(desk.running.address, request.as_bytes()).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{name}");
    }
}

#[tokio::test]
async fn the_library_is_served_or_said_to_be_missing() {
    let desk = desk(config()).await;
    let said = desk.get("/api/v1/status").await.json()["chart_library"].as_bool().unwrap();
    let library = desk.get("/page/lightweight-charts.js").await;
    assert_eq!(library.status == 200, said);
    assert_eq!(library.body.contains("LightweightCharts"), said);
}

#[tokio::test]
async fn the_market_and_the_program_are_told() {
    let mut desk = desk(config()).await;
    desk.begin(3);
    let market = desk.get("/api/v1/symbols?period=1h").await.json();
    assert_eq!(market["period"], "1h");
    let symbols = market["symbols"].as_array().unwrap();
    let bitcoin = symbols.iter().find(|row| row[0] == "BTCUSDT").unwrap();
    assert_eq!((&bitcoin[4], &bitcoin[5]), (&"100.50".into(), &"100.50".into()));
    let other = symbols.iter().find(|row| row[0] == "币安人生USDT").unwrap();
    assert_eq!((&other[1], &other[5]), (&5.into(), &serde_json::Value::Null));
    assert_eq!(desk.get("/api/v1/symbols?period=9m").await.json()["code"], -1120);
    {
        let mut report = desk.report.lock().unwrap();
        report.feed = FeedStatus { connections_up: 1, connections_total: 2 };
        report.backfill = Some(BackfillStatus { symbols_total: 9, ..<_>::default() });
        report.problems = vec!["disk full".to_owned()];
    }
    let status = desk.get("/api/v1/status").await.json();
    assert_eq!(status["periods"][5], "1d");
    assert_eq!(status["backfill"]["symbols_total"], 9);
    assert_eq!(status["feed"]["connections_up"], 1);
    assert_eq!(status["problems"][0], "disk full");
    assert_eq!((&status["symbols"], &status["ready"]), (&3.into(), &false.into()));
}
