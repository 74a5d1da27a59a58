//! Files of the archive of the simulated exchange, whole and spoiled, as the client hands them on
//! and as their reader takes them.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::time::Duration;

use klagg_binance::{ArchiveClient, ArchiveConfig, ArchiveError, ArchiveSpan, PlainText, Tls};
use klagg_kline::{Period, UnixMillis};
use klagg_sim::{ArchiveFault, SimClock, SimConfig, SimExchange};
use klagg_tape::archived_klines;

/// 2026-10-08T12:02:13Z.
const START: UnixMillis = UnixMillis(1_791_460_933_250);
const DAY: i64 = 86_400_000;

fn client(base_url: String) -> ArchiveClient {
    let config = ArchiveConfig {
        base_url,
        plain_text: PlainText::LoopbackOnly,
        user_agent: "klagg-test".to_owned(),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(20),
    };
    ArchiveClient::new(config, &Tls::new().unwrap()).unwrap()
}

#[tokio::test]
async fn a_file_that_matches_its_checksum_is_handed_on_and_no_other() {
    let clock = SimClock::Accelerated { factor: 1.0, start: START };
    let trades_per_second = 2.0;
    let config =
        SimConfig { symbols: 3, history_days: 40, trades_per_second, clock, ..SimConfig::demo() };
    let sim = SimExchange::start(config).await.unwrap();
    let archive = client(sim.archive_url());
    let control = sim.control();
    let yesterday = ArchiveSpan::holding(START.plus(-DAY), START).unwrap();
    let fetch = |fault: Option<ArchiveFault>| {
        control.spoil_archive("BTCUSDT", fault);
        archive.klines("BTCUSDT", Period::H1, yesterday)
    };
    let read = |bytes: &[u8]| {
        let name = yesterday.file_name("BTCUSDT", Period::H1);
        archived_klines("BTCUSDT", Period::H1, &name, bytes)
    };
    let bytes = fetch(None).await.unwrap();
    let klines = read(&bytes).unwrap();
    let official =
        sim.oracle().official("BTCUSDT", Period::H1, yesterday.from, yesterday.until.plus(-1));
    assert_eq!((klines.len(), official.len()), (24, 24));
    assert!(klines.iter().zip(&official).all(|(one, other)| one.same_values(other)));

    // What the client refuses.
    let refused = |outcome: Result<_, ArchiveError>| outcome.map(|_| ()).unwrap_err();
    for fault in [ArchiveFault::Missing, ArchiveFault::NoChecksum] {
        let error = refused(fetch(Some(fault)).await);
        assert!(matches!(error, ArchiveError::Missing { .. }), "{fault:?}: {error}");
    }
    let error = refused(fetch(Some(ArchiveFault::WrongChecksum)).await);
    assert!(matches!(error, ArchiveError::Checksum { .. }), "{error}");
    assert!(error.to_string().contains("BTCUSDT-1h-2026-10-07.zip"), "{error}");
    let error = refused(fetch(Some(ArchiveFault::Huge)).await);
    assert!(matches!(error, ArchiveError::TooLong { .. }), "{error}");
    let error = refused(fetch(Some(ArchiveFault::Unavailable)).await);
    assert!(matches!(error, ArchiveError::Status { status: 503, .. }), "{error}");
    let error = refused(fetch(Some(ArchiveFault::Cut)).await);
    assert!(matches!(error, ArchiveError::Transport { .. }), "{error}");

    // What matches its checksum, and is of no use all the same.
    for fault in [
        ArchiveFault::Truncated,
        ArchiveFault::Alien,
        ArchiveFault::OtherSymbol,
        ArchiveFault::OffGrid,
        ArchiveFault::Bomb,
    ] {
        let bytes = fetch(Some(fault)).await.unwrap();
        assert!(read(&bytes).is_err(), "{fault:?}");
    }

    // Today's is not published yet, and neither is another symbol's.
    control.spoil_archive("BTCUSDT", None);
    assert_eq!(ArchiveSpan::holding(START, START), None);
    let error = refused(archive.klines("NOSUCHUSDT", Period::H1, yesterday).await);
    assert!(matches!(error, ArchiveError::Missing { .. }), "{error}");
    let counters = sim.stop().await.unwrap();
    assert_eq!(counters.requests, 0, "nothing was asked of REST");
}

#[test]
fn an_archive_elsewhere_must_be_encrypted() {
    let config = |base_url: &str| ArchiveConfig {
        base_url: base_url.to_owned(),
        plain_text: PlainText::LoopbackOnly,
        user_agent: "klagg-test".to_owned(),
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(20),
    };
    let tls = Tls::new().unwrap();
    let check = |base_url: &str, is_allowed: bool| {
        let outcome = ArchiveClient::new(config(base_url), &tls);
        assert_eq!(outcome.is_ok(), is_allowed, "{base_url}: {outcome:?}");
    };
    check("https://data.binance.vision", true);
    check("http://127.0.0.1:9", true);
    check("http://data.binance.vision", false);
    check("ftp://data.binance.vision", false);
}
