//! Whether a page of klines is what was asked for. Pure.

use klagg_kline::{Kline, UnixMillis};

use crate::pages::Page;

/// Whether klines of this period that open before a page are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// There are: a page must begin where it was asked to.
    Known,
    /// None: the page may begin later, where the symbol was listed.
    Unknown,
}

/// Checks that `klines`, ascending and on the grid, fill `page` without a hole.
///
/// Only the beginning may be missing, and only where nothing older is known: there the symbol
/// was listed. Then all of the page counts as held.
pub(crate) fn check(page: &Page, klines: &[Kline], before: Before) -> Result<(), &'static str> {
    let (Some(first), Some(last)) = (klines.first(), klines.last()) else {
        return Err("no kline");
    };
    if first.open_time < page.from || last.open_time >= page.until {
        return Err("a kline outside of what was asked for");
    }
    if last.open_time != page.last_open_time() {
        return Err("the newest klines are missing");
    }
    if first.open_time != page.from && before == Before::Known {
        return Err("the oldest klines are missing");
    }
    let next = |kline: &Kline| page.period.next_open_time(kline.open_time);
    if klines.windows(2).any(|pair| next(&pair[0]) != pair[1].open_time) {
        return Err("a hole between klines");
    }
    Ok(())
}

/// Whether an empty answer for `page` means that the symbol was listed later.
pub(crate) fn is_before_listing(page: &Page, oldest_known: Option<UnixMillis>) -> bool {
    oldest_known.is_some_and(|oldest| page.until <= oldest)
}

#[cfg(test)]
mod tests {
    use klagg_kline::{Period, Price};

    use super::*;

    const MINUTE: i64 = 60_000;

    fn page() -> Page {
        let (from, until) = (UnixMillis(10 * MINUTE), UnixMillis(14 * MINUTE));
        Page { period: Period::M1, from, until, klines: 4 }
    }

    #[test]
    fn a_page_must_fill_what_was_asked_for() {
        let check = |minutes: &[i64], before: Before, expected: Result<(), &'static str>| {
            let flat =
                |&minute: &i64| Kline::flat(UnixMillis(minute * MINUTE), Price::from_scaled(1));
            let klines: Vec<Kline> = minutes.iter().map(flat).collect();
            assert_eq!(super::check(&page(), &klines, before), expected, "{minutes:?}");
        };
        check(&[10, 11, 12, 13], Before::Known, Ok(()));
        check(&[12, 13], Before::Unknown, Ok(()));
        check(&[12, 13], Before::Known, Err("the oldest klines are missing"));
        check(&[10, 11, 12], Before::Known, Err("the newest klines are missing"));
        check(&[10, 11, 13], Before::Known, Err("a hole between klines"));
        check(&[9, 10, 11, 12, 13], Before::Known, Err("a kline outside of what was asked for"));
        check(&[10, 11, 12, 13, 14], Before::Known, Err("a kline outside of what was asked for"));
        check(&[], Before::Unknown, Err("no kline"));
    }

    #[test]
    fn nothing_at_all_is_believed_only_before_the_oldest_known_kline() {
        assert!(is_before_listing(&page(), Some(UnixMillis(14 * MINUTE))));
        assert!(!is_before_listing(&page(), Some(UnixMillis(13 * MINUTE))));
        assert!(!is_before_listing(&page(), None), "the exchange may just be late");
    }
}
