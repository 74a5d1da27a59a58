//! What is said of progress: functions of numbers. Pure.

use std::time::Duration;

use klagg_backfill::{BackfillProgress, Phase};

/// Phase, symbols, klines, weight, and the time that is left; what is not known yet is left out.
pub(super) fn backfill(progress: &BackfillProgress) -> String {
    let counts = &progress.counts;
    let phase = match progress.phase {
        Phase::Seam => "waiting for the minute in which the feed began to be final",
        phase => phase.as_str(),
    };
    let symbols = match (progress.symbols_done, progress.symbols_total) {
        (_, 0) => String::new(),
        (done, total) => format!("{done}/{total} symbols, "),
    };
    let archived = match (counts.klines_archived, counts.files) {
        (0, _) => String::new(),
        (archived, 1) => format!(" ({archived} of them from a file of the archive)"),
        (archived, files) => format!(" ({archived} of them from {files} files of the archive)"),
    };
    let weight = match (progress.weight.used, progress.weight.allowance) {
        (used, 0) => format!("weight {used}"),
        (used, allowance) => format!("weight {used} of {allowance} a minute"),
    };
    let refused = match progress.weight.blocked_until {
        Some(_) => ", waiting as the exchange asked",
        None => "",
    };
    let left = progress.remaining.map_or_else(String::new, |left| format!(", {} left", span(left)));
    format!("{phase}: {symbols}{} klines{archived}, {weight}{refused}{left}", counts.klines())
}

/// What is done in a second.
pub(super) fn rate(per_second: f64) -> String {
    // Before there is a second to tell it by it may be no number.
    let per_second = if per_second.is_finite() { per_second.max(0.0) } else { 0.0 };
    format!("{per_second:.0} a second")
}

/// The time that is left, if anything is done to tell it by.
pub(super) fn left(done: u64, estimate: Duration) -> String {
    if done == 0 { String::new() } else { format!(", {} left", span(estimate)) }
}

/// A span of time to one or two places: whoever waits wants to know whether to stay. Rounded up,
/// so that nothing takes longer than was said because of that.
fn span(span: Duration) -> String {
    let seconds = span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0));
    let minutes = seconds.div_ceil(60);
    match (seconds, minutes) {
        (0..=99, _) => format!("{seconds} s"),
        (_, 0..=99) => format!("{minutes} min"),
        (_, 0..=2_880) => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} days", minutes.div_ceil(24 * 60)),
    }
}

#[cfg(test)]
mod tests {
    use klagg_backfill::BackfillCounts;
    use klagg_binance::WeightStatus;
    use klagg_kline::UnixMillis;

    use super::*;

    /// In the middle of history.
    fn midway() -> BackfillProgress {
        let weight = WeightStatus { allowance: 1_920, used: 1_404, ..WeightStatus::default() };
        BackfillProgress {
            phase: Phase::History,
            symbols_done: 212,
            symbols_total: 740,
            counts: BackfillCounts {
                klines_loaded: 1_000,
                klines_fetched: 200_000,
                klines_folded: 50_000,
                ..BackfillCounts::default()
            },
            remaining: Some(Duration::from_secs(383)),
            ..BackfillProgress::begin(weight)
        }
    }

    fn check(change: impl FnOnce(&mut BackfillProgress), expected: &str) {
        let mut progress = midway();
        change(&mut progress);
        assert_eq!(backfill(&progress), expected);
    }

    #[test]
    fn a_line_tells_the_phase_symbols_klines_weight_and_the_time_that_is_left() {
        check(
            |_| {},
            "history: 212/740 symbols, 251000 klines, weight 1404 of 1920 a minute, 7 min left",
        );
    }

    #[test]
    fn a_time_that_nobody_can_tell_yet_is_left_out() {
        check(
            |progress| progress.remaining = None,
            "history: 212/740 symbols, 251000 klines, weight 1404 of 1920 a minute",
        );
    }

    #[test]
    fn before_anything_is_known_no_total_is_shown() {
        let progress = BackfillProgress::begin(WeightStatus::default());
        assert_eq!(backfill(&progress), "loading: 0 klines, weight 0");
    }

    #[test]
    fn what_came_from_the_archive_is_told_apart() {
        let from = |files| {
            move |progress: &mut BackfillProgress| {
                (progress.counts.klines_archived, progress.counts.files) = (44_640, files);
                progress.remaining = None;
            }
        };
        check(
            from(1),
            "history: 212/740 symbols, 295640 klines (44640 of them from a file of the archive), \
             weight 1404 of 1920 a minute",
        );
        check(
            from(12),
            "history: 212/740 symbols, 295640 klines (44640 of them from 12 files of the \
             archive), weight 1404 of 1920 a minute",
        );
    }

    #[test]
    fn a_refusal_of_the_exchange_is_told_as_long_as_it_lasts() {
        check(
            |progress| progress.weight.blocked_until = Some(UnixMillis(1)),
            "history: 212/740 symbols, 251000 klines, weight 1404 of 1920 a minute, waiting as \
             the exchange asked, 7 min left",
        );
    }

    #[test]
    fn the_wait_for_the_first_minute_is_explained() {
        check(
            |progress| (progress.phase, progress.remaining) = (Phase::Seam, None),
            "waiting for the minute in which the feed began to be final: 212/740 symbols, 251000 \
             klines, weight 1404 of 1920 a minute",
        );
    }

    #[test]
    fn figures_of_any_size_are_told() {
        check(
            |progress| {
                (progress.symbols_done, progress.symbols_total) = (usize::MAX, usize::MAX);
                progress.counts = BackfillCounts { klines_loaded: u64::MAX, ..<_>::default() };
                (progress.weight.used, progress.weight.allowance) = (u32::MAX, u32::MAX);
                progress.remaining = Some(Duration::from_secs(400_000_000));
            },
            "history: 18446744073709551615/18446744073709551615 symbols, 18446744073709551615 \
             klines, weight 4294967295 of 4294967295 a minute, 4630 days left",
        );
    }

    #[test]
    fn a_span_is_rounded_up_to_what_a_person_reads() {
        let check = |millis, expected: &str| {
            assert_eq!(span(Duration::from_millis(millis)), expected, "{millis}");
        };
        check(0, "0 s");
        check(1, "1 s");
        check(99_000, "99 s");
        check(99_001, "2 min");
        check(5_940_000, "99 min");
        check(5_940_001, "1 h 40 min");
        check(48 * 3_600_000, "48 h 0 min");
        check(48 * 3_600_000 + 1, "3 days");
        let longest = span(Duration::MAX);
        assert!(longest.ends_with(" days"), "{longest}");
    }

    #[test]
    fn a_pace_is_told_once_there_is_one() {
        assert_eq!(left(0, Duration::ZERO), "", "nothing is done to tell it by");
        assert_eq!(left(1, Duration::from_secs(61)), ", 61 s left");
        assert_eq!(rate(0.0), "0 a second");
        assert_eq!(rate(431_250.4), "431250 a second");
        for odd in [f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(rate(odd), "0 a second");
        }
    }
}
