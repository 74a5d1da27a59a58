//! Two ways of doing the same, in turn: their ratio, whatever else the machine does meanwhile.
//!
//! Always true here: what is counted is the time of the thread, where the system knows it. What it
//! had to wait for a core is not.

use std::time::Duration;

/// Times of two ways, round by round. Each round does one after the other, so that both are
/// slowed down alike by what else runs; the middle one of the rounds' ratios then says which is
/// faster, and by how much.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use klagg_bench::Rounds;
///
/// let mut rounds = Rounds::default();
/// for times in [10, 30, 20_000] {
///     rounds.push(Duration::from_nanos(2 * times), Duration::from_nanos(times));
/// }
/// assert_eq!(rounds.ratio(), 2.0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Rounds {
    first: Vec<Duration>,
    second: Vec<Duration>,
}

impl Rounds {
    /// Does the work the first way.
    pub fn first(&mut self, work: impl FnOnce()) {
        self.first.push(time(work));
    }

    /// Does the same work the second way.
    pub fn second(&mut self, work: impl FnOnce()) {
        self.second.push(time(work));
    }

    /// A round that was timed elsewhere.
    pub fn push(&mut self, first: Duration, second: Duration) {
        self.first.push(first);
        self.second.push(second);
    }

    /// The median of the rounds' ratios: how many times as long the first way takes.
    ///
    /// # Panics
    /// If there was no round.
    pub fn ratio(&self) -> f64 {
        middle(&self.ratios())
    }

    fn ratios(&self) -> Vec<f64> {
        assert_eq!(self.first.len(), self.second.len(), "each round does both");
        let pairs = self.first.iter().zip(&self.second);
        let mut ratios: Vec<_> =
            pairs.map(|(first, second)| first.as_secs_f64() / second.as_secs_f64()).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        ratios
    }

    /// Prints both medians, of which each round holds `per_round`, and the ratio, which it returns.
    #[expect(clippy::print_stdout, reason = "what a bench is for")]
    pub fn report(&self, label: &str, per_round: u32) -> f64 {
        let ratios = self.ratios();
        let ratio = middle(&ratios);
        let each = |times: &[Duration]| {
            let mut times = times.to_vec();
            times.sort_unstable();
            times[times.len() / 2] / per_round
        };
        let (low, high) = (ratios[ratios.len() / 10], ratios[ratios.len() - 1 - ratios.len() / 10]);
        println!(
            "{label}: {:.1?} to {:.1?}, ratio {ratio:.3} ({} rounds, eight in ten within \
             {low:.3} and {high:.3})",
            each(&self.first),
            each(&self.second),
            ratios.len(),
        );
        ratio
    }
}

fn middle(sorted: &[f64]) -> f64 {
    assert!(!sorted.is_empty(), "no round");
    sorted[sorted.len() / 2]
}

fn time(work: impl FnOnce()) -> Duration {
    let start = thread_time();
    work();
    thread_time().saturating_sub(start)
}

/// How long this thread has run, the kernel's work for it included.
#[cfg(unix)]
fn thread_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

/// The same where threads have no clock: what passed, others' work included.
#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "a bench looks at the clock")]
fn thread_time() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}
