//! Probes and figures, on an address of their own.

use crate::client::{config, desk, get};

#[tokio::test]
async fn probes_tell_life_from_readiness() {
    let mut desk = desk(config()).await;
    desk.begin(3);
    let admin = desk.running.admin.unwrap();
    assert_eq!(get(admin, "/healthz").await.body, "ok\n");
    desk.report.lock().unwrap().problems = vec!["the disk is full".to_owned()];
    let reply = get(admin, "/healthz").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "ok\nthe disk is full\n"));
    desk.report.lock().unwrap().silent = vec!["the gateway is silent".to_owned()];
    let reply = get(admin, "/healthz").await;
    let words = "silent\nthe gateway is silent\nthe disk is full\n";
    assert_eq!((reply.status, reply.body.as_str()), (503, words));
    let status = desk.get("/api/v1/status").await.json();
    assert_eq!(status["problems"][0], "the gateway is silent");
    desk.report.lock().unwrap().silent.clear();
    desk.report.lock().unwrap().problems.clear();
    desk.report.lock().unwrap().phase = "backfill".to_owned();
    let reply = get(admin, "/readyz").await;
    assert_eq!((reply.status, reply.body.as_str()), (503, "not ready: backfill\n"));
    desk.report.lock().unwrap().ready = true;
    assert_eq!(get(admin, "/readyz").await.status, 200);
    assert_eq!(get(admin, "/fapi/v1/ping").await.status, 404, "nothing else is served here");
    assert_eq!(desk.get("/readyz").await.status, 404, "and this not there");
}

#[tokio::test]
async fn figures_of_the_server_and_of_the_program_are_scraped() {
    use klagg_web::{HistogramSample, MetricKind, MetricSample};
    let desk = desk(config()).await;
    let sample = |worker: &str, value| MetricSample {
        name: "trades",
        help: "Trades folded.",
        kind: MetricKind::Counter,
        labels: vec![("worker", worker.to_owned())],
        value,
    };
    desk.report.lock().unwrap().metrics = vec![sample("0", 5.0), sample("1", 7.0)];
    desk.report.lock().unwrap().histograms = vec![HistogramSample {
        name: "call_seconds",
        help: "Calls.",
        labels: vec![("consumer", "web".to_owned())],
        buckets: vec![(0.001, 3), (0.002, 0), (f64::INFINITY, 1)],
        sum: 1.5,
    }];
    let body = get(desk.running.admin.unwrap(), "/metrics").await.body;
    for line in [
        "# TYPE klagg_call_seconds histogram",
        "klagg_call_seconds_bucket{le=\"0.001\",consumer=\"web\"} 3",
        "klagg_call_seconds_bucket{le=\"0.002\",consumer=\"web\"} 3",
        "klagg_call_seconds_bucket{le=\"+Inf\",consumer=\"web\"} 4",
        "klagg_call_seconds_count{consumer=\"web\"} 4",
        "# TYPE klagg_trades counter",
        "klagg_trades_total{worker=\"0\"} 5.0",
        "klagg_trades_total{worker=\"1\"} 7.0",
        "klagg_symbols 3.0",
        "klagg_ready 0.0",
        "# EOF",
    ] {
        assert!(body.lines().any(|held| held == line), "{line} in {body}");
    }
}
