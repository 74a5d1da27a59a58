//! What is told when, and what a terminal shows of it.

use std::io;
use std::sync::{Arc, Mutex};

use indicatif::TermLike;
use klagg_backfill::Phase;
use klagg_binance::WeightStatus;

use super::*;

fn progress(done: usize, total: usize) -> BackfillProgress {
    let weight = WeightStatus { allowance: 1_920, used: 7, ..WeightStatus::default() };
    let begun = BackfillProgress::begin(weight);
    BackfillProgress { phase: Phase::History, symbols_done: done, symbols_total: total, ..begun }
}

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const LINE: &str = "history: 1/4 symbols, 0 klines, weight 7 of 1920 a minute";

#[test]
fn a_log_gets_a_line_every_five_seconds_however_often_is_looked() {
    let mut teller = Teller::new(Manner::Lines);
    let mut lines = Vec::new();
    for look in 0..=61 {
        let told = teller.look(at(look * 250), &progress(1, 4));
        assert!(told.bar.is_none() && !told.is_over, "{told:?}");
        lines.extend(told.lines.into_iter().map(|line| (look * 250, line)));
    }
    let expected = [0, 5_000, 10_000, 15_000].map(|millis| (millis, LINE.to_owned()));
    assert_eq!(lines, expected);
    let late = teller.look(at(60_000), &progress(1, 4));
    assert_eq!(late.lines, [LINE], "what was missed is not made up for");
}

#[test]
fn a_terminal_gets_a_bar_and_only_what_happens_once_as_a_line() {
    let mut teller = Teller::new(Manner::Bar);
    let mut now = progress(1, 4);
    let told = teller.look(at(0), &now);
    assert_eq!(told, Told { bar: Some((1, 4, LINE.to_owned())), ..Told::default() });
    now.ready = true;
    let told = teller.look(at(250), &now);
    assert_eq!(told.lines, ["ready: history and live have met"]);
    assert!(told.bar.is_some() && !told.is_over);
    assert!(teller.look(at(500), &now).lines.is_empty(), "said once");
    now.history_complete = true;
    let told = teller.look(at(750), &now);
    assert_eq!(told.lines, [format!("history complete: {LINE}")]);
    assert!(told.bar.is_none() && told.is_over, "the bar goes");
}

#[test]
fn history_that_is_there_before_the_seam_is_not_the_end() {
    for manner in [Manner::Bar, Manner::Lines] {
        let mut teller = Teller::new(manner);
        let mut now = progress(4, 4);
        now.history_complete = true;
        assert!(!teller.look(at(0), &now).is_over);
        now.ready = true;
        let told = teller.look(at(250), &now);
        let expected =
            "history complete: history: 4/4 symbols, 0 klines, weight 7 of 1920 a minute";
        assert_eq!(told.lines, ["ready: history and live have met", expected], "{manner:?}");
        assert!(told.is_over);
    }
}

#[tokio::test]
async fn quiet_means_that_nothing_is_told_and_nobody_is_waited_for() {
    // Its other end lives on: whoever is to show nothing does not wait for it.
    let sender = watch::Sender::new(progress(1, 4));
    show(sender.subscribe(), Show::Nothing).await;
    assert_eq!(sender.receiver_count(), 0);
}

/// A terminal of some columns that keeps what is written on it.
#[derive(Debug, Clone)]
struct Paper {
    columns: u16,
    written: Arc<Mutex<String>>,
}

impl TermLike for Paper {
    fn width(&self) -> u16 {
        self.columns
    }
    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, line: &str) -> io::Result<()> {
        self.write_str(line)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.written.lock().unwrap().push_str(text);
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        self.written.lock().unwrap().clear();
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What stands on a terminal of so many columns once a bar was drawn.
fn drawn(columns: u16, draw: impl FnOnce(ProgressDrawTarget)) -> String {
    let paper = Paper { columns, written: Arc::default() };
    draw(ProgressDrawTarget::term_like(Box::new(paper.clone())));
    let written = paper.written.lock().unwrap().clone();
    written.trim_end().to_owned()
}

/// What stands there of the backfill.
fn shown(columns: u16, now: &BackfillProgress) -> String {
    drawn(columns, |target| {
        let bar = bar(target);
        let told = Teller::new(Manner::Bar).look(at(0), now);
        super::draw(&bar, told.bar.unwrap());
        bar.abandon();
    })
}

#[test]
fn a_bar_is_as_full_as_symbols_are_done_and_empty_of_nothing() {
    let full = |text: &str| text.chars().filter(|&of| of == '█').count();
    assert_eq!(full(&shown(120, &progress(0, 0))), 0);
    assert_eq!(full(&shown(120, &progress(0, 4))), 0);
    assert_eq!(full(&shown(120, &progress(1, 4))), 5);
    assert_eq!(full(&shown(120, &progress(4, 4))), 20);
    assert!(shown(120, &progress(1, 4)).ends_with(LINE));
}

#[test]
fn a_bar_is_cut_to_the_terminal_whatever_its_text() {
    let mut now = progress(1, 4);
    (now.counts.klines_archived, now.counts.files) = (u64::MAX, u64::MAX);
    for columns in [30, 80, 200] {
        let text = shown(columns, &now);
        assert!(text.chars().count() <= columns.into(), "{columns}: {text:?}");
        assert!(text.contains("history"), "{columns}: {text:?}");
    }
    let name = "A-VERY-LONG-NAME-OF-A-FILE-OR-A-SYMBOL-".repeat(9);
    let text = drawn(60, |target| {
        let bar = ProgressBar::with_draw_target(Some(10), target);
        bar.set_style(styled("{bar:10} {pos}/{len} klines, {rate}{left}, {wide_msg}"));
        bar.set_message(name);
        bar.abandon();
    });
    assert!(text.contains("0/10 klines, 0 a second, A-VERY"), "no time is told yet: {text:?}");
    assert!(text.chars().count() <= 60, "{text:?}");
}
