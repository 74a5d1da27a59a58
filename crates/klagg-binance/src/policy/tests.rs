//! The policy, event by event, with time as a number.

use super::*;
use crate::backoff::Backoff;

fn timing() -> StreamTiming {
    StreamTiming {
        connect_timeout: seconds(10),
        first_data: seconds(10),
        silence: seconds(15),
        ping_cadence: seconds(20),
        acknowledge_timeout: seconds(10),
        pong_timeout: seconds(10),
        rotation: seconds(23 * 3_600),
        rotation_jitter: seconds(3_600),
        lifetime: seconds(86_000),
        overlap: seconds(1),
        overlap_max: seconds(30),
        rotation_gap: seconds(10),
        quiet: seconds(1),
        backoff: Backoff { floor: Duration::from_millis(100), ceiling: seconds(30) },
        messages_per_second: 8,
        names_per_subscribe: 200,
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("s{at}@aggTrade")).collect()
}

/// A policy with its actions, driven by hand, before an exchange that acknowledges everything.
struct Driven {
    policy: ConnectionPolicy,
    actions: Vec<Action>,
    acknowledges: bool,
}

impl Driven {
    fn open(streams: usize) -> Self {
        let mut driven = Self::idle(streams);
        assert_eq!(driven.event(Duration::ZERO, Event::Start), [Action::Connect]);
        driven
    }

    fn idle(streams: usize) -> Self {
        let policy = ConnectionPolicy::new(timing(), true, names(streams));
        Self { policy, actions: Vec::new(), acknowledges: true }
    }

    fn event(&mut self, now: Duration, event: Event) -> Vec<Action> {
        self.policy.on_event(now, 0, event, &mut self.actions);
        let actions = std::mem::take(&mut self.actions);
        for action in &actions {
            if let (Action::Subscribe { id, .. }, true) = (action, self.acknowledges) {
                self.policy.on_event(now, 0, Event::Acknowledged(*id), &mut self.actions);
            }
        }
        assert_eq!(self.actions, [], "an acknowledgement asks for nothing");
        actions
    }

    /// Lets time pass from deadline to deadline, as the shell does; data keeps coming.
    fn run(&mut self, from: Duration, to: Duration) -> Vec<(Duration, Action)> {
        let mut done = Vec::new();
        let mut now = from;
        while let Some(deadline) = self.policy.next_deadline()
            && deadline <= to
        {
            assert!(deadline >= now, "deadlines lie ahead: {deadline:?} before {now:?}");
            now = deadline;
            done.extend(self.event(now, Event::Timer).into_iter().map(|action| (now, action)));
        }
        done
    }
}

#[test]
fn subscriptions_go_out_in_bounded_parts_and_in_step() {
    let mut driven = Driven::open(2_100);
    let at_once = driven.event(seconds(1), Event::Connected);
    assert_eq!(at_once.len(), 8, "no more than eight messages in a second");
    let later = driven.run(seconds(1), seconds(3));
    assert_eq!(later.len(), 3);
    assert!(later.iter().all(|(at, _)| *at == seconds(2)));
    let mut sent = Vec::new();
    for action in at_once.into_iter().chain(later.into_iter().map(|(_, action)| action)) {
        let Action::Subscribe { names, .. } = action else { panic!("{action:?}") };
        assert!(names.len() <= 200);
        sent.extend(names);
    }
    assert_eq!(sent, names(2_100));
}

#[test]
fn an_open_connection_without_data_is_replaced_after_ten_seconds() {
    let mut driven = Driven::open(1);
    driven.event(seconds(1), Event::Connected);
    assert_eq!(driven.event(seconds(2), Event::Data(Source::Other)), []);
    let done = driven.run(seconds(2), seconds(11));
    assert_eq!(done, [(seconds(11), Action::DropSilent(Silence::FirstData))]);
    assert_eq!(driven.policy.failures(), 1);
    let wait = Duration::from_millis(100);
    let done = driven.run(seconds(11), seconds(12));
    assert_eq!(done, [(seconds(11) + wait, Action::Connect)]);
}

#[test]
fn silence_of_all_data_or_of_the_canary_alone_replaces_the_connection() {
    let check = |source: Source, expected: Silence| {
        let mut driven = Driven::open(1);
        driven.event(seconds(0), Event::Connected);
        assert_eq!(driven.event(seconds(1), Event::Data(Source::Canary)), [Action::Live]);
        let mut now = seconds(1);
        while now < seconds(15) {
            now += seconds(1);
            if source == Source::Other {
                assert_eq!(driven.event(now, Event::Data(source)), []);
            }
        }
        let done = driven.run(now, seconds(16));
        assert_eq!(done, [(seconds(16), Action::DropSilent(expected))]);
    };
    check(Source::Other, Silence::Canary);
    check(Source::Canary, Silence::Data);
}

#[test]
fn pings_go_out_every_twenty_seconds_and_want_an_answer_within_ten() {
    let mut driven = Driven::open(1);
    driven.event(seconds(0), Event::Connected);
    driven.event(seconds(1), Event::Data(Source::Canary));
    driven.event(seconds(14), Event::Data(Source::Canary));
    assert_eq!(driven.run(seconds(14), seconds(20)), [(seconds(20), Action::Ping)]);
    driven.event(seconds(21), Event::Pong);
    driven.event(seconds(28), Event::Data(Source::Canary));
    assert_eq!(driven.run(seconds(28), seconds(40)), [(seconds(40), Action::Ping)]);
    driven.event(seconds(42), Event::Data(Source::Canary));
    let done = driven.run(seconds(42), seconds(50));
    assert_eq!(done, [(seconds(50), Action::DropSilent(Silence::Pong))]);
}

#[test]
fn being_held_up_by_ourselves_is_no_silence_of_the_exchange() {
    let mut driven = Driven::open(1);
    driven.event(seconds(0), Event::Connected);
    driven.event(seconds(1), Event::Data(Source::Canary));
    driven.event(seconds(10), Event::Resumed);
    assert_eq!(driven.run(seconds(10), seconds(24)), [(seconds(20), Action::Ping)]);
}

#[test]
fn failures_double_the_wait_until_a_connection_lives_for_a_minute() {
    let mut driven = Driven::open(1);
    for failures in 1..=12 {
        assert_eq!(driven.event(seconds(failures), Event::Closed), []);
        assert_eq!(driven.policy.failures(), u32::try_from(failures).unwrap());
        // With a random number of 0 the wait is the floor.
        let due = seconds(failures) + Duration::from_millis(100);
        assert_eq!(driven.policy.next_deadline(), Some(due));
        assert_eq!(driven.event(due, Event::Timer), [Action::Connect]);
    }
    driven.event(seconds(20), Event::Connected);
    assert_eq!(driven.policy.failures(), 12, "an open socket proves nothing");
    // One that delivers and ends at once is no better than one that does not open.
    driven.event(seconds(21), Event::Data(Source::Canary));
    driven.event(seconds(22), Event::Closed);
    assert_eq!(driven.policy.failures(), 13);
    driven.event(seconds(23), Event::Timer);
    driven.event(seconds(24), Event::Connected);
    driven.event(seconds(25), Event::Data(Source::Canary));
    driven.event(seconds(84), Event::Closed);
    assert_eq!(driven.policy.failures(), 1);
}

#[test]
fn an_old_connection_says_so_once_and_is_dropped_at_the_end_of_its_life() {
    let mut driven = Driven::open(1);
    driven.policy.on_event(seconds(0), 1_000, Event::Connected, &mut driven.actions);
    driven.actions.clear();
    driven.event(seconds(0), Event::Acknowledged(1));
    driven.event(seconds(0), Event::Data(Source::Canary));
    // A second early, by the random number.
    let (before, due) = (seconds(23 * 3_600 - 2), seconds(23 * 3_600 - 1));
    driven.event(before, Event::Data(Source::Canary));
    driven.event(before, Event::Pong);
    assert_eq!(driven.event(due, Event::Timer), [Action::Old]);
    let (before, end) = (seconds(85_999), seconds(86_000));
    driven.event(before, Event::Data(Source::Canary));
    driven.event(before, Event::Pong);
    assert_eq!(driven.event(end, Event::Timer), [Action::DropOld, Action::Connect]);
}

#[test]
fn a_connection_is_whole_when_it_delivers_and_everything_was_acknowledged() {
    let mut driven = Driven::open(300);
    driven.acknowledges = false;
    assert_eq!(driven.event(seconds(0), Event::Connected).len(), 2);
    driven.event(seconds(1), Event::Data(Source::Canary));
    driven.event(seconds(1), Event::Acknowledged(1));
    assert!(!driven.policy.is_whole(), "half of the streams may not deliver yet");
    driven.event(seconds(2), Event::Acknowledged(2));
    assert!(driven.policy.is_whole());
    driven.event(seconds(3), Event::Renew(vec!["s7@aggTrade".to_owned()]));
    assert!(!driven.policy.is_whole());
    driven.event(seconds(3), Event::Acknowledged(4));
    assert!(driven.policy.is_whole());
}

#[test]
fn a_subscription_without_an_answer_is_a_silence() {
    let mut driven = Driven::open(1);
    driven.acknowledges = false;
    driven.event(seconds(0), Event::Connected);
    driven.event(seconds(5), Event::Data(Source::Canary));
    let done = driven.run(seconds(5), seconds(10));
    assert_eq!(done, [(seconds(10), Action::DropSilent(Silence::Acknowledgement))]);
}

#[test]
fn streams_added_while_open_are_subscribed_once_and_again_after_a_reconnect() {
    let mut driven = Driven::open(2);
    driven.event(seconds(0), Event::Connected);
    let more = vec!["s1@aggTrade".to_owned(), "new@aggTrade".to_owned()];
    let actions = driven.event(seconds(1), Event::Subscribe(more));
    let expected = Action::Subscribe { id: 2, names: vec!["new@aggTrade".to_owned()] };
    assert_eq!(actions, [expected]);
    let gone = vec!["s0@aggTrade".to_owned(), "never@aggTrade".to_owned()];
    let actions = driven.event(seconds(2), Event::Unsubscribe(gone));
    let expected = Action::Unsubscribe { id: 3, names: vec!["s0@aggTrade".to_owned()] };
    assert_eq!(actions, [expected]);
    driven.event(seconds(3), Event::Closed);
    driven.event(seconds(4), Event::Timer);
    let actions = driven.event(seconds(5), Event::Connected);
    let names = vec!["s1@aggTrade".to_owned(), "new@aggTrade".to_owned()];
    assert_eq!(actions, [Action::Subscribe { id: 4, names }]);
}

#[test]
fn however_often_streams_are_renewed_the_requests_stay_few() {
    let mut driven = Driven::open(600);
    driven.event(seconds(0), Event::Connected);
    driven.event(seconds(1), Event::Data(Source::Canary));
    let mut sent = 0;
    for round in 0..5 {
        for name in names(600) {
            sent += driven.event(seconds(2 + round), Event::Renew(vec![name])).len();
        }
    }
    driven.event(seconds(10), Event::Data(Source::Canary));
    sent += driven.run(seconds(10), seconds(14)).len();
    assert!((8..=60).contains(&sent), "{sent} messages for 3,000 renewals");
    assert!(driven.policy.is_whole(), "nothing is left over");
}
