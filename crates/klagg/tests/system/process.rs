//! A running klagg, its words, and its end.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines of a process kept at most; a test reads few.
const LINES_MAX: usize = 100_000;

/// A klagg process. Killed if a test forgets it.
#[derive(Debug)]
pub(crate) struct Klagg {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    reader: Option<JoinHandle<()>>,
}

impl Klagg {
    /// Starts `klagg` with `arguments`.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_klagg"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary under test starts");
        let words = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (sender, lines) = sync_channel(LINES_MAX);
        let reader = std::thread::spawn(move || {
            for line in words.lines().map_while(Result::ok) {
                // A full queue drops lines rather than stopping the process under test.
                drop(sender.try_send(line));
            }
        });
        Self { child, lines, said: Vec::new(), reader: Some(reader) }
    }

    /// The first line from now on that holds `words`, waited for.
    ///
    /// # Panics
    /// If it does not come in time or the process ends before; with all that was said.
    pub(crate) fn wait_for(&mut self, words: &str, patience: Duration) -> String {
        let deadline = now() + patience;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(now())) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(error) => {
                    let why = match error {
                        RecvTimeoutError::Timeout => "did not say in time",
                        RecvTimeoutError::Disconnected => "ended without saying",
                    };
                    panic!("klagg {why} `{words}`; it said:\n{}", self.said.join("\n"));
                }
            }
        }
    }

    /// Asks it to stop as Ctrl-C does, and waits for its end; how long that took.
    pub(crate) fn interrupt(mut self) -> (ExitStatus, Duration, Vec<String>) {
        let asked = now();
        let signalled = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(signalled.success(), "the process is there to be signalled");
        let status = self.wait(Duration::from_secs(30));
        let took = asked.elapsed();
        (status, took, self.words())
    }

    /// Waits for its end.
    pub(crate) fn end(mut self, patience: Duration) -> (ExitStatus, Vec<String>) {
        let status = self.wait(patience);
        (status, self.words())
    }

    fn words(&mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader of words ends with the process");
        }
        self.said.extend(self.lines.try_iter());
        std::mem::take(&mut self.said)
    }

    fn wait(&mut self, patience: Duration) -> ExitStatus {
        let deadline = now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process can be waited for") {
                return status;
            }
            assert!(now() < deadline, "klagg did not end within {patience:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Klagg {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// The time of the test's own patience.
#[expect(clippy::disallowed_methods, reason = "a system test waits in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
