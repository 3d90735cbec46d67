//! The laws, under every order of events on small models.

use redoubt_wire::failover::Cause;

use super::{
    agents,
    explore::{Dice, exhaust, wander},
    laws,
    sim::{Budget, Order, Sim},
    world,
};
use crate::Moment;

const ORDERLY: Budget =
    Budget { faults: 0, deaths: 0, stalls: 0, node_deaths: 0, sentinel: false, order: Order::AnyChanges };

/// The master's server ends, and its agent asks.
fn crash(budget: Budget) -> Sim {
    let mut sim = Sim::new(&world::set(3, 3), budget);
    sim.kill(0);
    sim.asks(Cause::Crash, 0, 0, Moment::START);
    sim
}

fn switchover(budget: Budget) -> Sim {
    let mut sim = Sim::new(&world::set(3, 3), budget);
    sim.asks(Cause::Switchover, 0, 0, Moment::START);
    sim
}

/// At the end there is one master, and the candidate said so.
fn ends_well(sim: &mut Sim) {
    assert!(sim.done(), "{:?}", sim.candidates[0].machine.verdict());
    heals(sim);
}

/// At the end there is one master.
fn heals(sim: &mut Sim) {
    sim.world.gossip();
    agents::convert_orphans(sim);
    laws::one_master(sim);
}

fn heals_without_loss(sim: &mut Sim) {
    heals(sim);
    laws::nothing_lost(sim);
}

#[test]
fn a_crash_ends_with_one_master_in_every_order_of_answers() {
    exhaust(crash(ORDERLY), ends_well);
}

#[test]
fn a_hand_over_loses_nothing_in_every_order_of_answers() {
    exhaust(switchover(ORDERLY), |sim| {
        laws::nothing_lost(sim);
        laws::no_full_sync(sim);
        ends_well(sim);
    });
}

#[test]
fn lost_calls_leave_one_master_after_a_crash() {
    exhaust(crash(Budget { faults: 2, ..ORDERLY }), heals);
}

#[test]
fn lost_calls_lose_no_write_in_a_hand_over() {
    exhaust(switchover(Budget { faults: 2, ..ORDERLY }), heals_without_loss);
}

#[test]
fn a_candidate_that_dies_at_any_step_of_a_crash_is_rescued() {
    exhaust(crash(Budget { deaths: 1, faults: 1, ..ORDERLY }), heals);
}

#[test]
fn a_candidate_that_dies_at_any_step_of_a_hand_over_loses_no_write() {
    exhaust(switchover(Budget { deaths: 1, faults: 1, ..ORDERLY }), heals_without_loss);
}

#[test]
fn a_candidate_that_stalls_at_any_step_of_a_crash_does_no_harm() {
    exhaust(crash(Budget { stalls: 1, ..ORDERLY }), heals);
    exhaust(crash(Budget { stalls: 1, faults: 1, order: Order::Turned, ..ORDERLY }), heals);
}

#[test]
fn a_candidate_that_stalls_at_any_step_of_a_hand_over_loses_no_write() {
    exhaust(switchover(Budget { stalls: 1, faults: 1, ..ORDERLY }), heals_without_loss);
}

#[test]
fn two_candidates_at_once_elect_one() {
    let mut sim = crash(ORDERLY);
    sim.asks(Cause::Rescue, 1, 0, Moment::START);
    exhaust(sim, heals);
}

#[test]
fn three_candidates_at_once_elect_one() {
    let mut sim = crash(Budget { order: Order::Turned, ..ORDERLY });
    sim.asks(Cause::Rescue, 1, 0, Moment::START);
    sim.asks(Cause::Rescue, 2, 0, Moment::START);
    exhaust(sim, heals);
}

#[test]
fn two_hand_overs_at_once_lose_no_write() {
    let mut sim = switchover(ORDERLY);
    sim.asks(Cause::Switchover, 1, 0, Moment::START);
    exhaust(sim, heals_without_loss);
}

#[test]
fn sentinels_own_failover_beside_a_candidate_leaves_one_master() {
    exhaust(crash(Budget { sentinel: true, ..ORDERLY }), heals);
}

#[test]
fn a_node_that_dies_at_any_step_of_a_crash_leaves_one_master() {
    exhaust(crash(Budget { node_deaths: 1, ..ORDERLY }), heals);
}

#[test]
fn a_node_that_dies_at_any_step_of_a_hand_over_loses_no_write() {
    exhaust(switchover(Budget { node_deaths: 1, ..ORDERLY }), heals);
}

#[test]
fn without_a_majority_of_the_sentinels_nothing_is_promoted() {
    let mut sim = crash(ORDERLY);
    sim.world.sentinels[0].up = false;
    sim.world.sentinels[1].up = false;
    exhaust(sim, |sim| {
        assert!(sim.world.nodes[1..].iter().all(|node| node.master == Some(0)));
    });
}

/// Everything may go wrong, a little of each. `REDOUBT_SEED` replays one run, `REDOUBT_RUNS` makes more of them.
#[test]
fn whatever_goes_wrong_one_master_is_left() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("REDOUBT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("REDOUBT_RUNS").unwrap_or(20_000),
    };
    for seed in seeds {
        let mut dice = Dice(seed);
        let mut some = |most: u64| u32::try_from(dice.next() % (most + 1)).unwrap();
        let budget = Budget {
            faults: some(4),
            deaths: some(1),
            stalls: some(2),
            node_deaths: 0,
            sentinel: some(1) == 1,
            order: Order::Any,
        };
        let hand_over = some(1) == 1;
        let mut sim = if hand_over { switchover(budget) } else { crash(budget) };
        // Only the agent of a master hands it over, and remembers its pauses.
        let others = if hand_over && budget.deaths + budget.stalls > 0 { 0 } else { some(2) as usize };
        for agent in 1..=others {
            let cause = if hand_over { Cause::Switchover } else { Cause::Rescue };
            sim.asks(cause, agent, 0, Moment::ms(u64::from(some(30))));
        }
        let lossless = hand_over && !budget.sentinel;
        wander(sim, seed, |sim| if lossless { heals_without_loss(sim) } else { heals(sim) });
    }
}
