//! `kill -9` at any instant.
//!
//! This binary runs itself as a child that writes batch after batch and says on its output which
//! of them are acknowledged. It is killed at a random instant, of its start or of its work, and
//! the next child goes on in the same folder.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use klagg_store::{Durability, Store};

use crate::model::{
    Contents, Dice, SYMBOLS, alone, append_symbols, apply, batch, config, seed, settle,
};
use crate::threaded::write_by_thread;

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
    write_by_thread(store, seed, first.., |number| say("stored", number));
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
        stored = settle(&store, seed, acknowledged, &mut expected)
            .unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
    stored
}

#[test]
fn nothing_acknowledged_is_lost_to_kill() {
    let _alone = alone();
    let seed = seed();
    println!("seed {seed}, {} kills", FOLDERS * KILLS_EACH);
    let batches: u64 = (0..FOLDERS).map(|folder| torment(seed.wrapping_mul(1_000) + folder)).sum();
    println!("{batches} batches stored");
    assert!(batches > FOLDERS * KILLS_EACH, "the children hardly came to write: {batches}");
}
