//! How much memory an export takes, whatever there is to export.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::store::{history, store};

/// The most memory that a process has had until now, in KiB.
fn peak_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// An export that nobody reads on stands still once the pipe is full, so that its peak is that of
/// what was taken until then.
#[test]
fn an_export_takes_no_more_memory_the_longer_it_goes_on() {
    let (_folder, path, mut held) = store(&["AUSDT"]);
    held.write(&history(0, 150_000, &[])).unwrap();
    drop(held);
    for format in ["csv", "jsonl"] {
        let mut klagg = Command::new(env!("CARGO_BIN_EXE_klagg"))
            .args(["export", "--data-dir", &path, "--quiet", "--format", format])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(klagg.stdout.take().unwrap());
        let mut skip_rows = |count: usize| {
            for _ in 0..count {
                out.skip_until(b'\n').unwrap();
            }
        };
        // By then SQLite's cache of pages is as full as it may become.
        skip_rows(90_000);
        let early = peak_kib(klagg.id());
        skip_rows(50_000);
        let late = peak_kib(klagg.id());
        // The 50,000 klines in between take 8 MiB in memory, and 4 MiB and more as text.
        assert!(late < early + 1_024, "{format}: {early} KiB, then {late} KiB");
        std::io::copy(&mut out, &mut std::io::sink()).unwrap();
        assert!(klagg.wait().unwrap().success());
    }
}
