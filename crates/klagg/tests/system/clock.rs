//! The machine's clock set wrong, and the process suspended: klines do not notice, people are told.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use klagg_kline::UnixMillis;

use crate::market::{Market, PATIENCE, wait_for_market};
use crate::process::{Klagg, figure, get, now, wait_until};
use crate::shim::{Field, Shim};
use crate::truth::{FACTOR, end_whole, minutes_after_start, start_with, wait_until_confirmed};

/// The machine's time, in which this test runs.
#[expect(clippy::disallowed_methods, reason = "it is compared with what the process says")]
fn machine() -> UnixMillis {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(i64::try_from(unix.as_millis()).unwrap())
}

/// Stops the process as a suspended machine does, for so long, and lets it go on.
fn suspend(klagg: &Klagg, pause: Duration) {
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &klagg.id().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "the process is there to be signalled");
    };
    signal("-STOP");
    let began = now();
    wait_until("the process has been suspended", PATIENCE, || began.elapsed() >= pause);
    signal("-CONT");
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "seconds of months are few")]
fn a_clock_that_steps_by_hours_and_a_suspension_change_no_kline() {
    let market = Market::open(43, FACTOR);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let shim = match Shim::build() {
        Ok(shim) => shim,
        Err(reason) => return println!("skipped: {reason}"),
    };
    let mut control = None;
    let (klagg, _, admin) = start_with(&market, path, &[], |command| {
        shim.watch(command, folder.path(), None);
        let set = shim.control(command);
        set.set(Field::ClockAheadS, 3_600);
        control = Some(set);
    });
    let control = control.unwrap();
    wait_until_confirmed(&admin, minutes_after_start(1));
    // This market lives in a time of its own, months away from the machine's: that is told, and
    // the hour that was put on top is seen in it.
    let problems = get(&admin, "/readyz").unwrap();
    assert!(problems.contains("this machine's clock is"), "{problems}");
    let months = machine().since(market.exchange().now()) / 1_000;
    let off = figure(&admin, "klagg_clock_skew_ms") / 1_000.0 - months as f64;
    assert!((3_000.0..4_200.0).contains(&off), "{off} s beside {months} s");
    // The step is noticed when the exchange is next asked for its time. Meanwhile the market goes
    // on by some minutes.
    for step in [3_600 + 7_200, -7_200] {
        control.set(Field::ClockAheadS, step);
        wait_for_market(&market, market.exchange().now().plus(2 * 60_000));
    }
    suspend(&klagg, Duration::from_secs(2));
    end_whole(klagg, &admin, &market, path);
}
