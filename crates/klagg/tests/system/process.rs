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
        Self::start_with(arguments, |_| {})
    }

    /// Starts `klagg` with `arguments`, its command prepared further.
    pub(crate) fn start_with(arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_klagg"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().expect("the binary under test starts");
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

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
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
            .args(["-INT", &self.id().to_string()])
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

/// The figure `name` of `/metrics` at `address`, if it is there.
pub(crate) fn metric(address: &str, name: &str) -> Option<f64> {
    let text = get(address, "/metrics")?;
    let line = text.lines().find(|line| {
        let name_only = line.split(['{', ' ']).next();
        name_only == Some(name)
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

/// A figure of the probes; 0 before it is there.
pub(crate) fn figure(address: &str, name: &str) -> f64 {
    metric(address, name).unwrap_or(0.0)
}

/// The body of an answer, if there is one.
pub(crate) fn get(address: &str, path: &str) -> Option<String> {
    answer(address, path).map(|(_, body)| body)
}

/// Status and headers of an answer, in lower case, if there is one.
pub(crate) fn head(address: &str, path: &str) -> Option<String> {
    answer(address, path).map(|(head, _)| head.to_ascii_lowercase())
}

fn answer(address: &str, path: &str) -> Option<(String, String)> {
    use std::io::{Read, Write};
    let mut socket = std::net::TcpStream::connect(address).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(head, body)| (head.to_owned(), body.to_owned()))
}

/// The address in a line such as `page:    http://127.0.0.1:8080/`.
pub(crate) fn address(line: &str) -> String {
    let from = line.find("http://").expect("the line holds an address") + "http://".len();
    line[from..].split(['/', ' ']).next().unwrap_or_default().to_owned()
}

/// Waits until `reached` says so.
///
/// # Panics
/// If it does not in time.
pub(crate) fn wait_until(what: &str, patience: Duration, mut reached: impl FnMut() -> bool) {
    let deadline = now() + patience;
    while !reached() {
        assert!(now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
