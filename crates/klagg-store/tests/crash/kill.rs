//! `kill -9` at any instant.
//!
//! This binary runs itself as a child that writes batch after batch and says on its output which
//! of them are acknowledged. It is killed at a random instant, of its start or of its work, and
//! the next child goes on in the same folder.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use klagg_store::{Durability, Store, StoreWriter, WriterConfig};

use crate::model::{
    Contents, Dice, IN_FLIGHT_MAX, SYMBOLS, append_symbols, apply, batch, config, seed, settle,
};

const FOLDERS: u64 = 20;
const KILLS_EACH: u64 = 11;
const ORDER: &str = "KLAGG_STORE_KILLED_CHILD";

/// What a child is told: where, which batches, from which one on, and by which way.
struct Order<'a> {
    folder: &'a Path,
    seed: u64,
    first: u64,
}

/// Writes batches until it is killed.
#[test]
fn child() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let (numbers, folder) = order.split_once('|').unwrap();
    let (seed, first) = numbers.split_once(' ').unwrap();
    let (seed, first) = (seed.parse().unwrap(), first.parse().unwrap());
    let durability = if seed & 1 == 0 { Durability::Full } else { Durability::Normal };
    let mut store = Store::open(&config(Path::new(folder), durability)).unwrap();
    append_symbols(&mut store);
    say("ready", 0);
    if seed & 2 == 0 {
        for number in first.. {
            store.write(&batch(seed, number)).unwrap();
            say("stored", number + 1);
        }
    }
    write_by_thread(store, seed, first);
}

/// The same through the writer thread: what it counts as written is acknowledged, in order.
fn write_by_thread(store: Store, seed: u64, first: u64) {
    let config = WriterConfig {
        commit_rows_max: 200,
        queue_rows_max: 100_000,
        cadence: Duration::from_millis(2),
        open_cadence: Duration::from_secs(1),
        retry_min: Duration::from_millis(1),
        retry_max: Duration::from_millis(10),
        drain_deadline: Duration::from_secs(1),
    };
    let writer = StoreWriter::spawn(store, config, |_| {}).unwrap();
    let handle = writer.handle();
    let (mut acknowledged, mut next) = (first, first);
    let (mut rows_before, mut sizes) = (0, std::collections::VecDeque::new());
    loop {
        while next < acknowledged + IN_FLIGHT_MAX {
            let rows = batch(seed, next);
            sizes.push_back(rows.len() as u64);
            handle.submit(rows).unwrap();
            next += 1;
        }
        let status = handle.status();
        while let Some(&size) = sizes.front()
            && rows_before + size <= status.rows_written + status.rows_unchanged
        {
            rows_before += size;
            sizes.pop_front();
            acknowledged += 1;
            say("stored", acknowledged);
        }
        std::thread::yield_now();
    }
}

/// A whole line or none: a line without an end is not read.
fn say(word: &str, number: u64) {
    let mut output = std::io::stdout().lock();
    // The parent may be gone; then there is nobody to tell.
    let _ = output.write_all(format!("\n{word} {number}\n").as_bytes());
    let _ = output.flush();
}

fn start(order: &Order<'_>) -> Child {
    let Order { folder, seed, first } = order;
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
        .env(ORDER, format!("{seed} {first}|{}", folder.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a child, kills it, and returns whether it was ready and how many batches it
/// acknowledged in all.
fn run_and_kill(order: &Order<'_>, dice: &mut Dice) -> (bool, u64) {
    let mut child = start(order);
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let listener = std::thread::spawn(move || {
        let (mut is_ready, mut stored, mut line) = (false, 0, String::new());
        while matches!(output.read_line(&mut line), Ok(read) if read > 0) {
            let whole = line.strip_suffix('\n').unwrap_or_default();
            if whole == "ready 0" {
                is_ready = true;
                let _ = sender.send(());
            } else if let Some(number) = whole.strip_prefix("stored ") {
                stored = number.parse().unwrap();
            }
            line.clear();
        }
        (is_ready, stored)
    });
    // One in six dies while it opens: before that instant there is nothing to wait for.
    if dice.within(0..6) > 0 {
        let _ = receiver.recv_timeout(Duration::from_secs(30));
        std::thread::sleep(Duration::from_micros(dice.within(2_000..80_000)));
    } else {
        std::thread::sleep(Duration::from_micros(dice.within(500..30_000)));
    }
    assert!(child.try_wait().unwrap().is_none(), "the child ended by itself: {:?}", {
        child.wait_with_output().map(|output| String::from_utf8_lossy(&output.stderr).into_owned())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let (is_ready, stored) = listener.join().unwrap();
    (is_ready, stored.max(order.first))
}

/// Kills children one after the other in one folder; returns how many batches were stored.
fn torment(seed: u64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice::new(seed);
    let mut expected = Contents::new();
    let (mut stored, mut was_ready) = (0, false);
    for _ in 0..KILLS_EACH {
        let order = Order { folder: folder.path(), seed, first: stored };
        let (is_ready, acknowledged) = run_and_kill(&order, &mut dice);
        for number in stored..acknowledged {
            apply(&mut expected, &batch(seed, number));
        }
        was_ready |= is_ready;
        let store = Store::open(&config(folder.path(), Durability::Normal)).unwrap();
        let symbols = store.load_symbols().unwrap().len();
        assert!(symbols == SYMBOLS as usize || (symbols == 0 && !was_ready), "{symbols} symbols");
        stored = settle(&store, seed, acknowledged, &mut expected);
    }
    stored
}

#[test]
fn nothing_acknowledged_is_lost_to_kill() {
    let seed = seed();
    println!("seed {seed}, {} kills", FOLDERS * KILLS_EACH);
    // One after the other: a child that is being forked holds a copy of every lock of ours until
    // it becomes another program, so two at once would find each other's folder in use.
    let batches: u64 = (0..FOLDERS).map(|folder| torment(seed.wrapping_mul(1_000) + folder)).sum();
    println!("{batches} batches stored");
    assert!(batches > FOLDERS * KILLS_EACH, "the children hardly came to write: {batches}");
}
