//! Which faults a seed draws.

use crate::agenda::Millis;
use crate::plan::{Fault, Kind};
use crate::random::Random;
use crate::scenario::{FAULTS_FROM, FAULTS_UNTIL};

/// A worker that breaks so often in a row is given up.
const DEATHS: Millis = 7;

/// How a kind is drawn.
struct Draw {
    /// Times in a plan at most, at full intensity.
    most: u64,
    /// Shortest and longest amount.
    amount: (i64, i64),
}

const fn draw(most: u64, least: i64, longest: i64) -> Draw {
    Draw { most, amount: (least, longest) }
}

const fn of(kind: Kind) -> Draw {
    match kind {
        Kind::Disconnect => draw(6, 0, 0),
        Kind::HalfOpen | Kind::SilentSocket => draw(3, 2_000, 90_000),
        Kind::NoConnect => draw(2, 1_000, 40_000),
        Kind::SilentAll => draw(2, 1_000, 60_000),
        Kind::SilentSymbol => draw(3, 1_000, 100_000),
        Kind::SilentPath => draw(2, 1_000, 50_000),
        Kind::Held => draw(5, 50, 9_000),
        Kind::Duplicates | Kind::Reordered => draw(3, 5_000, 120_000),
        Kind::Late | Kind::Lost => draw(3, 5_000, 60_000),
        Kind::RestErrors | Kind::RestTimeouts | Kind::WrongPages | Kind::WrongTrades => {
            draw(3, 5_000, 90_000)
        }
        Kind::RestOutage => draw(2, 5_000, 90_000),
        Kind::ForeignWeight => draw(3, 10, 200),
        Kind::Banned => draw(1, 20_000, 120_000),
        Kind::Skew => draw(2, 0, 7_200_000),
        Kind::Suspend => draw(2, 500, 90_000),
        Kind::Crash => draw(4, 100, 40_000),
        Kind::WorkerStall => draw(4, 50, 40_000),
        Kind::WorkerDeath => draw(2, 0, 0),
        Kind::LateAnswers => draw(3, 1_000, 30_000),
        Kind::GatewayStall => draw(3, 500, 30_000),
        Kind::WriterStall => draw(3, 500, 60_000),
        Kind::StoreFull => draw(2, 1_000, 90_000),
        Kind::Listing => draw(2, 1, 3),
        Kind::Delisting | Kind::Relisting => draw(1, 120_000, 240_000),
        Kind::DeadStream => draw(3, 0, 0),
        Kind::HeldSymbol => draw(3, 1_000, 40_000),
        Kind::Failing => draw(3, 200, 9_000),
        // Drawn by themselves.
        Kind::Steady | Kind::Watched | Kind::ShortMessages | Kind::RawFills | Kind::LongPeriods => {
            draw(0, 0, 0)
        }
    }
}

pub(super) fn faults(seed: u64) -> Vec<Fault> {
    let mut random = Random::new(seed, 0xfa17);
    // Some seeds have one kind alone, some nearly all.
    let often = *random.pick(&[40, 120, 250, 500, 900]);
    let intensity = *random.pick(&[30_u64, 60, 100]);
    let mut faults = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|&kind| of(kind).most > 0) {
        if !random.per_mille(often) {
            continue;
        }
        let Draw { most, amount } = of(kind);
        for _ in 0..=random.below((most * intensity).div_ceil(100)) {
            faults.push(Fault {
                at: moment(&mut random, kind),
                kind,
                target: u32::try_from(random.below(1 << 16)).unwrap_or(0),
                amount: skewed(&mut random, amount),
            });
        }
    }
    faults.extend(besides(seed));
    faults.extend(seldom(seed));
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// What a run is like besides: from numbers of its own, so that the faults stay what they were.
fn besides(seed: u64) -> impl Iterator<Item = Fault> {
    let mut random = Random::new(seed, 0xfa18);
    // What is added stands last: the others stay what they were.
    let all = [
        (Kind::Steady, 600),
        (Kind::Watched, 500),
        (Kind::ShortMessages, 500),
        (Kind::RawFills, 300),
    ];
    all.into_iter().filter_map(move |(kind, often)| {
        let target = u32::try_from(random.below(1 << 16)).unwrap_or(0);
        random.per_mille(often).then_some(Fault { at: 0, kind, target, amount: 0 })
    })
}

/// What is seldom, or comes in bursts: from numbers of its own as well.
fn seldom(seed: u64) -> Vec<Fault> {
    let mut random = Random::new(seed, 0xfa19);
    let mut faults = Vec::new();
    let of = |random: &mut Random, (at, kind): (Millis, Kind), (least, most): (i64, i64)| Fault {
        at,
        kind,
        target: u32::try_from(random.below(1 << 16)).unwrap_or(0),
        amount: u32::try_from(random.between(least, most)).unwrap_or(0),
    };
    if random.per_mille(80) {
        // The clock is another one at the next start, ours or not.
        for _ in 0..=random.below(2) {
            let at = moment(&mut random, Kind::Crash);
            faults.push(of(&mut random, (at, Kind::Skew), (0, 7_200_000)));
            let at = moment(&mut random, Kind::Crash);
            faults.push(of(&mut random, (at, Kind::Crash), (100, 40_000)));
        }
    }
    if random.per_mille(60) {
        let first = moment(&mut random, Kind::WorkerDeath);
        let first = of(&mut random, (first, Kind::WorkerDeath), (0, 0));
        let step = random.between(50, 5_000);
        faults.extend((0..DEATHS).map(|number| Fault { at: first.at + number * step, ..first }));
    }
    if random.per_mille(60) {
        let at = moment(&mut random, Kind::Listing);
        faults.push(of(&mut random, (at, Kind::Listing), (4, 20)));
    }
    if random.per_mille(100) {
        faults.push(of(&mut random, (0, Kind::LongPeriods), (0, 0)));
    }
    faults
}

/// When: anywhere, or close to the turn of a minute, where most of what can be wrong is decided.
fn moment(random: &mut Random, kind: Kind) -> Millis {
    if kind == Kind::Skew {
        return 0;
    }
    let at = random.between(FAULTS_FROM, FAULTS_UNTIL);
    if random.per_mille(300) {
        let turn = at.div_euclid(60_000) * 60_000;
        return (turn + random.between(-1_500, 4_000)).clamp(FAULTS_FROM, FAULTS_UNTIL);
    }
    at
}

/// Mostly short, sometimes long.
fn skewed(random: &mut Random, (least, longest): (i64, i64)) -> u32 {
    let top = if random.per_mille(600) { least + (longest - least) / 6 } else { longest };
    u32::try_from(random.between(least, top)).unwrap_or(0)
}
