//! All sockets of one connection before a simulated exchange, in one thread and by a seed: trades
//! with ids, frames that take their time, sockets that are cut, muted, slowed down and refused.
//!
//! The oracle knows every trade. Whatever happens, a watermark may not pass a trade that no socket
//! has brought, unless an interruption was told.

mod world;

use self::world::{STEP_MS, World, ms, name, timing};
use super::*;
use crate::policy::Source;

#[test]
fn sockets_are_replaced_again_and_again_without_a_gap_or_an_interruption() {
    for seed in 0..8 {
        for copies in [1, 2] {
            let mut world = World::new(seed, copies);
            world.run(60_000);
            let report = &world.report;
            assert_eq!(report.interruptions, 0, "seed {seed}: {report:?}");
            assert_eq!(report.given_up, 0, "seed {seed}: {report:?}");
            assert!(report.replaced >= 5 * u32::from(copies), "seed {seed}: {report:?}");
            assert_eq!(report.most_open, u16::from(copies) + 1, "seed {seed}: one at a time");
            assert_eq!(report.connects, u32::from(copies) + report.replaced + extra(&world));
            world.assert_converged(usize::from(copies));
        }
    }
}

/// Replacements that have begun and are not over.
fn extra(world: &World) -> u32 {
    u32::from(world.copies.turn.is_some())
}

#[test]
fn whatever_fails_no_watermark_passes_a_trade_that_is_missing() {
    let (mut replaced, mut garbled) = (0, 0);
    for seed in 0..48 {
        let copies = if seed % 2 == 0 { 1 } else { 2 };
        let mut world = World::new(seed, copies);
        for _ in 0..25 {
            let wait = 100 + world.random.below(2_500);
            world.run(wait);
            let slot = world.random.below(u64::from(copies) + 1);
            let copy = CopyId(u8::try_from(slot).unwrap());
            let delay = world.random.below(800);
            world.garbled_percent = world.random.below(12).saturating_sub(8);
            match world.random.below(5) {
                0 => world.cut(copy),
                1 => world.servers[copy.index()].is_mute = true,
                2 => world.servers[copy.index()].lag += delay,
                3 => world.refuses = !world.refuses,
                _ => {
                    let names = vec![name(1), name(3)];
                    world.decide(|copies, now, random, _, steps| {
                        copies.on_event_for_all(now, random, &Event::Renew(names), steps);
                    });
                }
            }
        }
        replaced += world.report.replaced;
        garbled += world.report.garbled;
        world.garbled_percent = 0;
        world.assert_converged(usize::from(copies));
    }
    assert!(replaced > 80, "{replaced} replacements took place among the faults");
    assert!(garbled > 250, "{garbled} frames could not be read");
}

#[test]
fn what_one_of_two_copies_cannot_read_is_no_interruption() {
    for seed in 0..8 {
        let mut world = World::new(seed, 2);
        world.run(2_000);
        world.garbled_percent = 1;
        world.run(20_000);
        let report = &world.report;
        assert!(report.garbled > 5, "seed {seed}: {report:?}");
        // Where both lost something before the other had caught up, it is one.
        assert!(report.interruptions * 2 < report.garbled, "seed {seed}: {report:?}");
        world.garbled_percent = 0;
        world.assert_converged(2);
    }
}

#[test]
fn one_of_two_copies_may_fail_without_an_interruption() {
    for seed in 0..8 {
        let mut world = World::new(seed, 2);
        world.run(2_000);
        for round in 0..6 {
            let open = world.open();
            let copy = open[usize::try_from(seed).unwrap() % open.len()];
            if round % 2 == 0 {
                world.cut(copy);
            } else {
                world.servers[copy.index()].is_mute = true;
            }
            world.run(6_000);
        }
        assert_eq!(world.report.interruptions, 0, "seed {seed}: {:?}", world.report);
        world.assert_converged(2);
    }
}

#[test]
fn a_replacement_that_cannot_be_opened_leaves_the_old_socket_to_the_end_of_its_life() {
    let mut world = World::new(7, 1);
    world.run(5_000);
    world.refuses = true;
    world.run(13_000);
    assert!(world.report.given_up >= 3, "{:?}", world.report);
    assert_eq!((world.report.replaced, world.report.interruptions), (0, 0));
    assert_eq!(world.open(), [CopyId(0)]);
    // At 20 s it is dropped by ourselves rather than cut by the exchange.
    world.run(5_000);
    assert_eq!(world.report.interruptions, 1);
    world.assert_converged(1);
}

#[test]
fn a_replacement_that_never_subscribes_everything_is_given_up() {
    let mut world = World::new(8, 1);
    world.run(1_000);
    while world.copies.turn.is_none() {
        world.run(STEP_MS);
    }
    let new = world.copies.turn.unwrap().new;
    while !world.servers[new.index()].is_open {
        world.run(STEP_MS);
    }
    world.servers[new.index()].is_mute = true;
    world.servers[new.index()].frames.clear();
    world.run(2_500);
    assert_eq!((world.report.given_up, world.report.interruptions), (1, 0));
    assert_eq!(world.open(), [CopyId(0)]);
}

#[test]
fn one_connection_turns_at_a_time_and_the_next_one_waits_for_the_gap() {
    let mut turnstile = Turnstile::new(ms(10_000));
    assert_eq!(turnstile.enter(ms(5)), Ok(()));
    assert!(turnstile.enter(ms(6)).is_err());
    turnstile.leave(ms(1_000));
    assert_eq!(turnstile.enter(ms(2_000)), Err(ms(11_000)));
    assert_eq!(turnstile.enter(ms(11_000)), Ok(()));
}

/// Two sockets, the first of which is whole at 901 ms; the other one has told this time at 2 ms.
fn first_is_whole(told_by_other: Option<i64>) -> (Copies, Vec<Step>) {
    let mut copies = Copies::new(timing(), 2, true, vec![name(0)]);
    let mut steps = Vec::new();
    copies.start(ms(0), 0, &mut steps);
    let (first, other) = (CopyId(0), CopyId(1));
    copies.on_event(ms(1), 0, (first, Event::Connected), &mut steps);
    copies.on_event(ms(1), 0, (other, Event::Connected), &mut steps);
    if let Some(time) = told_by_other {
        copies.on_event(ms(2), 0, (other, Event::Data(Source::Other)), &mut steps);
        copies.on_event_time(ms(2), other, UnixMillis(time), &mut steps);
    }
    let subscribed = steps.iter().find_map(|step| match step {
        Step::Act(CopyId(0), Action::Subscribe { id, .. }) => Some(*id),
        _ => None,
    });
    steps.clear();
    let answered = Event::Acknowledged(subscribed.unwrap());
    copies.on_event(ms(900), 0, (first, answered), &mut steps);
    copies.on_event(ms(901), 0, (first, Event::Data(Source::Canary)), &mut steps);
    (copies, steps)
}

#[test]
fn the_first_socket_joins_at_once_if_no_other_one_has_delivered() {
    let (copies, steps) = first_is_whole(None);
    assert!(copies.is_trusted(CopyId(0)) && !steps.contains(&Step::Interrupted), "{steps:?}");
}

#[test]
fn the_first_socket_joins_without_an_interruption_once_another_one_has_reached_it() {
    let (mut copies, mut steps) = first_is_whole(Some(3));
    copies.on_event_time(ms(902), CopyId(0), UnixMillis(8), &mut steps);
    copies.on_event_time(ms(903), CopyId(1), UnixMillis(7), &mut steps);
    assert!(!copies.is_trusted(CopyId(0)), "what the other one loses after 7 may be missing");
    copies.on_event_time(ms(904), CopyId(1), UnixMillis(8), &mut steps);
    assert!(copies.is_trusted(CopyId(0)) && !steps.contains(&Step::Interrupted), "{steps:?}");
}

#[test]
fn the_first_socket_tells_of_an_interruption_if_another_one_delivers_no_more() {
    let (mut copies, mut steps) = first_is_whole(Some(3));
    copies.on_event_time(ms(902), CopyId(0), UnixMillis(8), &mut steps);
    let due = ms(901) + timing().overlap;
    assert_eq!(copies.next_deadline(), Some(due));
    let mut turnstile = Turnstile::new(ms(10_000));
    copies.on_timer(due.saturating_sub(ms(1)), 0, &mut turnstile, &mut steps);
    assert!(!copies.is_trusted(CopyId(0)) && !steps.contains(&Step::Interrupted), "{steps:?}");
    copies.on_timer(due, 0, &mut turnstile, &mut steps);
    assert!(copies.is_trusted(CopyId(0)) && steps.contains(&Step::Interrupted), "{steps:?}");
    // Where it is known to be lost, nobody waits, and it is told once.
    let (mut copies, mut steps) = first_is_whole(Some(3));
    copies.on_event(ms(910), 0, (CopyId(1), Event::Closed), &mut steps);
    assert!(copies.is_trusted(CopyId(0)));
    assert_eq!(steps.iter().filter(|step| **step == Step::Interrupted).count(), 1);
}

#[test]
fn a_connection_is_quiet_once_after_what_came_last_over_any_of_its_sockets() {
    let (mut copies, mut steps) = first_is_whole(None);
    let mut turnstile = Turnstile::new(ms(10_000));
    let mut is_quiet = |copies: &mut Copies, now: u64| {
        steps.clear();
        copies.on_timer(ms(now), 0, &mut turnstile, &mut steps);
        steps.contains(&Step::Quiet)
    };
    assert!(!is_quiet(&mut copies, 1_900), "the first socket was heard at 901 ms");
    let heard = (CopyId(1), Event::Data(Source::Other));
    copies.on_event(ms(1_900), 0, heard, &mut Vec::new());
    assert!(!is_quiet(&mut copies, 2_899));
    assert!(copies.next_deadline() <= Some(ms(2_900)));
    assert!(is_quiet(&mut copies, 2_900), "nothing came for a second");
    assert!(!is_quiet(&mut copies, 2_901), "it was said");
    // What waited while we did not read is on its way.
    copies.on_event_for_all(ms(3_500), 0, &Event::Resumed, &mut Vec::new());
    assert!(!is_quiet(&mut copies, 4_499));
    assert!(is_quiet(&mut copies, 4_500));
}

#[test]
fn what_a_socket_misses_before_anybody_has_joined_is_an_interruption() {
    let (first, other) = (CopyId(0), CopyId(1));
    let mut copies = Copies::new(timing(), 2, true, vec![name(0)]);
    let mut steps = Vec::new();
    copies.start(ms(0), 0, &mut steps);
    let subscriptions = |steps: &[Step], of: CopyId| {
        let id = |step: &Step| match step {
            Step::Act(copy, Action::Subscribe { id, .. }) if *copy == of => Some(*id),
            _ => None,
        };
        steps.iter().find_map(id).expect("it subscribes")
    };
    for copy in [first, other] {
        copies.on_event(ms(1), 0, (copy, Event::Connected), &mut steps);
        copies.on_event(ms(2), 0, (copy, Event::Data(Source::Canary)), &mut steps);
    }
    // Neither has all its subscriptions, and each has ended doubts by what it brought.
    copies.on_event_time(ms(2), other, UnixMillis(1), &mut steps);
    assert!(copies.on_missed(ms(3), first), "nobody has joined who could have brought it");
    assert!(copies.on_missed(ms(4), other), "nor for this one");
    // Once one has joined and is whole, it covers what another one misses, but not itself.
    let whole = Event::Acknowledged(subscriptions(&steps, first));
    copies.on_event(ms(5), 0, (first, whole), &mut steps);
    copies.on_event(ms(6), 0, (first, Event::Data(Source::Canary)), &mut steps);
    copies.on_event_time(ms(6), first, UnixMillis(2), &mut steps);
    copies.on_event_time(ms(6), other, UnixMillis(2), &mut steps);
    assert!(copies.is_trusted(first));
    assert!(!copies.on_missed(ms(7), other), "the first one has joined");
    assert!(copies.on_missed(ms(8), first), "nobody else has");
    assert!(copies.is_trusted(first), "there is nobody to wait for");
}
