//! The example does what it says. It is compiled into this test; only its `main` is left out.

#[expect(dead_code, reason = "an example's `main` is for its own binary")]
#[path = "../examples/momentum.rs"]
mod momentum;

use std::sync::{Arc, Mutex};

use klagg_kline::SymbolId;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_momentum_of_all_symbols_is_known_on_every_tick() {
    let signals = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&signals);
    let reports = momentum::run(9, move |signal| noted.lock().unwrap().push(*signal));
    let reports = reports.await.unwrap();
    assert_eq!((reports.len(), reports[0].panicked), (1, false));
    let signals = signals.lock().unwrap();
    assert!(signals.windows(2).all(|pair| pair[0].tick < pair[1].tick), "one a tick, in order");
    // On a busy machine a worker may be late on the last ticks: its symbols are not judged then.
    let whole = signals.iter().rev().find(|signal| signal.judged == 200);
    let last = whole.expect("both workers answered in time on some tick");
    assert_eq!(last.symbol, SymbolId(199));
    // Minute 8 against the close of minute 3.
    let expected = (1.0 + 8.0 * 199e-6) / (1.0 + 3.0 * 199e-6) - 1.0;
    assert!((last.momentum - expected).abs() < 1e-9, "{} for {expected}", last.momentum);
}
