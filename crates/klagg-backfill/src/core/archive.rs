//! Old history from the archive: which file when, and what is done without it.
//!
//! Always true here:
//! - Files go before pages: the pages of a period are planned once its files are answered, so that
//!   nothing is asked of both. What a file lacks stays missing, and is asked of the exchange.
//! - A file is fetched once. One that the archive does not have, or that breaks a rule, is
//!   remembered, and its klines are left to the exchange.
//! - A file is planned only while its symbol surely has its name, and holds no instant after that:
//!   whoever has the name later is not in it. Of who had it before see [`files`].
//! - While the archive cannot be reached nobody waits for it for long: after a few failures it is
//!   left alone for a while, and the exchange is asked for everything.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use klagg_kline::{Kline, SymbolId};

use super::BackfillCore;
use super::passes::PassId;
use crate::action::{Action, FileRequest, Notice, RequestId};
use crate::config::ArchiveRules;
use crate::event::{FileFailure, Now};
use crate::files::{ArchiveFile, FileFault, check_file, files, take};
use crate::pages::Page;
use crate::plan::Depth;
use crate::state::Confirmed;

/// How often one file is tried.
const FILE_ATTEMPTS_MAX: u32 = 3;
/// Failures in a row, of whatever files, after which the archive is left alone.
const FAILURES_MAX: u32 = 5;
/// For how long.
const LEFT_ALONE: Duration = Duration::from_mins(10);
/// Months of a symbol that the archive does not have, newest first, after which it is not asked
/// for the older ones.
const MISSING_MONTHS_MAX: u32 = 3;

/// How the archive is doing.
#[derive(Debug)]
pub(super) struct Archive {
    rules: ArchiveRules,
    under_way: BTreeMap<RequestId, Fetching>,
    /// Failures in a row since the last answer.
    failures: u32,
    /// Nothing is fetched before.
    rests_until: Duration,
    /// Nothing is planned to be fetched before.
    left_alone_until: Duration,
    /// Random numbers drawn so far.
    drawn: u64,
}

/// A file that is being fetched.
#[derive(Debug, Clone, Copy)]
struct Fetching {
    symbol: SymbolId,
    index: usize,
    pass: PassId,
    waiting: WaitingFile,
}

/// A file that is to be fetched.
#[derive(Debug, Clone, Copy)]
pub(super) struct WaitingFile {
    file: ArchiveFile,
    /// How often it did not come.
    failures: u32,
}

impl Archive {
    pub(super) fn new(rules: ArchiveRules) -> Self {
        Self {
            rules,
            under_way: BTreeMap::new(),
            failures: 0,
            rests_until: Duration::ZERO,
            left_alone_until: Duration::ZERO,
            drawn: 0,
        }
    }

    /// Passes of a sweep that may wait for files, besides those that wait for pages.
    pub(super) const fn passes_max(&self) -> usize {
        self.rules.concurrency
    }

    /// When files may be fetched again, if they may not at `at`.
    pub(super) fn rests_until(&self, at: Duration) -> Option<Duration> {
        (self.rests_until > at).then_some(self.rests_until)
    }

    fn random(&mut self) -> u64 {
        self.drawn += 1;
        // The finaliser of splitmix64 (public domain, Vigna).
        let value = self.rules.seed.wrapping_add(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// Notes that nobody is answered; true if the archive is to be left alone from now on.
    fn fail(&mut self, now: Now) -> bool {
        // Those that were under way together tell only once that nobody is answered.
        if now.local < self.rests_until {
            return false;
        }
        self.failures += 1;
        let random = self.random();
        if self.failures < FAILURES_MAX {
            self.rests_until = now.local + self.rules.backoff.wait(self.failures, random);
            return false;
        }
        self.failures = 0;
        let jitter = Duration::from_secs(random % (LEFT_ALONE.as_secs() / 4));
        self.left_alone_until = now.local + LEFT_ALONE + jitter;
        self.rests_until = self.left_alone_until;
        true
    }
}

impl BackfillCore {
    /// The files worth fetching for a pass, newest first.
    pub(super) fn plan_files(
        &self,
        now: Now,
        symbol: SymbolId,
        (depth, index): (Depth, usize),
    ) -> VecDeque<WaitingFile> {
        let Some(archive) = &self.archive else { return VecDeque::new() };
        let Some(state) = self.states.get(&symbol) else { return VecDeque::new() };
        if depth != Depth::Full || now.local < archive.left_alone_until {
            return VecDeque::new();
        }
        let wanted = self.wanted(state, depth, now);
        let files = files(&state.held, &wanted, index, now.exchange).into_iter();
        let untried = files.filter(|file| !state.files_tried.contains(&(index, file.span)));
        untried.map(|file| WaitingFile { file, failures: 0 }).collect()
    }

    /// Fetches files, as far as there is room.
    pub(super) fn issue_files(&mut self, now: Now, actions: &mut Vec<Action>) {
        let Some(archive) = &mut self.archive else { return };
        let mut room = archive.rules.concurrency.saturating_sub(archive.under_way.len());
        if archive.rests_until(now.local).is_some() {
            return;
        }
        for (&id, pass) in &mut self.passes {
            while room > 0
                && let Some(waiting) = pass.files.pop_front()
            {
                let (symbol, index) = pass.file_of();
                let Some(state) = self.states.get(&symbol) else { continue };
                room -= 1;
                pass.under_way += 1;
                self.request_id.0 += 1;
                let (request, name) = (self.request_id, state.name.clone());
                archive.under_way.insert(request, Fetching { symbol, index, pass: id, waiting });
                let file = waiting.file;
                actions.push(Action::Fetch(FileRequest { id: request, symbol, name, file }));
            }
        }
    }

    /// A file was fetched, or could not be.
    pub(super) fn on_fetched(
        &mut self,
        now: Now,
        id: RequestId,
        fetched: Result<Vec<Kline>, FileFailure>,
        actions: &mut Vec<Action>,
    ) {
        let under_way = self.archive.as_mut().and_then(|archive| archive.under_way.remove(&id));
        let Some(fetching) = under_way else {
            self.count(|counts| counts.answers_dropped += 1);
            return;
        };
        if let Some(pass) = self.passes.get_mut(&fetching.pass) {
            pass.under_way -= 1;
        }
        if fetched != Err(FileFailure::Unreachable)
            && let Some(archive) = &mut self.archive
        {
            (archive.failures, archive.rests_until) = (0, Duration::ZERO);
        }
        let file = fetching.waiting.file;
        let checked = fetched.and_then(|klines| match check_file(&file, &klines) {
            Ok(()) => Ok(klines),
            Err(fault) => Err(FileFailure::Refused(fault)),
        });
        match checked {
            Ok(klines) => self.take_file(now, &fetching, &klines, actions),
            Err(FileFailure::Missing) => self.on_missing(&fetching),
            Err(FileFailure::Refused(fault)) => self.on_refused(&fetching, fault, actions),
            Err(FileFailure::Unreachable) => self.on_unreachable(now, fetching, actions),
        }
    }

    /// Hands on what is missing of a file.
    fn take_file(
        &mut self,
        now: Now,
        fetching: &Fetching,
        klines: &[Kline],
        actions: &mut Vec<Action>,
    ) {
        let &Fetching { symbol, index, waiting: WaitingFile { file, .. }, .. } = fetching;
        let settled = self.settled(now);
        let Some(state) = self.states.get_mut(&symbol) else {
            self.count(|counts| counts.answers_dropped += 1);
            return;
        };
        state.files_tried.insert((index, file.span));
        let taken = take(state.held.of(index), &file, klines);
        if let Some(pass) = self.passes.get_mut(&fetching.pass) {
            pass.missing_months = 0;
        }
        let (mut archived, mut folded) = (0, 0);
        for part in taken.parts {
            let Some(state) = self.states.get_mut(&symbol) else { return };
            let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
            let (from, until) = (first.open_time, file.period.next_open_time(last.open_time));
            let count = u16::try_from(part.len()).unwrap_or(u16::MAX);
            let page = Page { period: file.period, from, until, klines: count };
            let wanted = super::wanted_recently(&self.config, state.first_open_time, settled);
            let taken = state.take_page(index, &page, part, &wanted);
            debug_assert!(taken.is_ok(), "a part has no hole: {taken:?}");
            for Confirmed { index: of, klines } in taken.unwrap_or_default() {
                *(if of == index { &mut archived } else { &mut folded }) += klines.len() as u64;
                self.hand_on(now, symbol, Confirmed { index: of, klines }, actions);
            }
        }
        self.count(|counts| {
            counts.files += 1;
            counts.klines_archived += archived;
            counts.klines_folded += folded;
            counts.klines_left += taken.left;
        });
    }

    fn on_missing(&mut self, fetching: &Fetching) {
        let WaitingFile { file, .. } = fetching.waiting;
        self.leave_file(fetching);
        self.count(|counts| counts.files_missing += 1);
        let Some(pass) = self.passes.get_mut(&fetching.pass) else { return };
        pass.missing_months += u32::from(file.is_month());
        if pass.missing_months >= MISSING_MONTHS_MAX {
            pass.files.clear();
        }
    }

    fn on_refused(&mut self, fetching: &Fetching, fault: FileFault, actions: &mut Vec<Action>) {
        self.leave_file(fetching);
        self.count(|counts| match fault {
            FileFault::Checksum => counts.files_checksum += 1,
            FileFault::TooLong => counts.files_too_long += 1,
            FileFault::Unreadable => counts.files_unreadable += 1,
            FileFault::Unsorted => counts.files_unsorted += 1,
            FileFault::OutOfPlace => counts.files_out_of_place += 1,
        });
        if let Some(state) = self.states.get(&fetching.symbol) {
            let WaitingFile { file, .. } = fetching.waiting;
            let name = file.span.file_name(&state.name, file.period);
            actions.push(Action::Say(Notice::FileRefused { name, fault }));
        }
    }

    /// The file is not fetched again: the exchange is asked for its klines.
    fn leave_file(&mut self, fetching: &Fetching) {
        if let Some(state) = self.states.get_mut(&fetching.symbol) {
            state.files_tried.insert((fetching.index, fetching.waiting.file.span));
        }
    }

    fn on_unreachable(&mut self, now: Now, fetching: Fetching, actions: &mut Vec<Action>) {
        self.count(|counts| counts.files_failed += 1);
        let Some(archive) = &mut self.archive else { return };
        if archive.fail(now) {
            // Whoever waits for files asks the exchange instead.
            self.passes.values_mut().for_each(|pass| pass.files.clear());
            actions.push(Action::Say(Notice::ArchiveUnreachable));
            return;
        }
        if now.local < archive.left_alone_until {
            return;
        }
        let WaitingFile { file, failures } = fetching.waiting;
        if failures + 1 >= FILE_ATTEMPTS_MAX {
            self.leave_file(&fetching);
        } else if let Some(pass) = self.passes.get_mut(&fetching.pass) {
            pass.files.push_front(WaitingFile { file, failures: failures + 1 });
        }
    }
}
