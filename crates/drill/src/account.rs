//! The accounts of a drill: how long nothing was acknowledged, and what is gone. Pure.

use std::time::Duration;

/// One acknowledged write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ack {
    /// When, from the start of the drill.
    pub at: Duration,
    /// The writer's number of the write.
    pub n: u64,
}

/// What one writer did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WriterLog {
    /// Which writer.
    pub writer: u32,
    /// Numbers 0 to `tried` - 1 were sent, or may have been.
    pub tried: u64,
    /// Tries without an acknowledgement, failed connections included.
    pub failed: u64,
    /// In the order of time.
    pub acks: Vec<Ack>,
}

/// The span in which a pause is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// The event; the last acknowledgement before it still counts.
    pub event: Duration,
    /// The writers were stopped.
    pub end: Duration,
}

/// The longest pause between acknowledgements around the event; `None` when they did not come back.
///
/// `acks` are in the order of time. The pause that the end cuts off counts as "did not come back" when it is longer
/// than all others and than `patience`, the time one try may take.
pub(crate) fn longest_pause(
    acks: impl Iterator<Item = Duration>,
    span: Span,
    patience: Duration,
) -> Option<Duration> {
    let mut before = None;
    let mut last = None;
    let mut longest = Duration::ZERO;
    for at in acks {
        if at <= span.event {
            before = Some(at);
        } else if at <= span.end {
            let from = last.or(before).unwrap_or(span.event);
            longest = longest.max(at.saturating_sub(from));
            last = Some(at);
        }
    }
    let open = span.end.saturating_sub(last?);
    (open <= longest.max(patience)).then_some(longest)
}

/// The acknowledgements of all writers, in the order of time.
pub(crate) fn timeline(logs: &[WriterLog]) -> Vec<Duration> {
    let mut all: Vec<Duration> = logs.iter().flat_map(|log| log.acks.iter().map(|ack| ack.at)).collect();
    all.sort_unstable();
    all
}

/// The pause of the writer that waited longest; `None` when one of them did not come back.
pub(crate) fn worst_writer_pause(logs: &[WriterLog], span: Span, patience: Duration) -> Option<Duration> {
    logs.iter()
        .map(|log| longest_pause(log.acks.iter().map(|ack| ack.at), span, patience))
        .try_fold(Duration::ZERO, |worst, pause| Some(worst.max(pause?)))
}

/// Which of the acknowledged numbers the answers do not have.
pub(crate) fn missing<'a>(acked: &'a [u64], answers: &'a [Option<u64>]) -> impl Iterator<Item = u64> + 'a {
    let answers = answers.iter().copied().chain(std::iter::repeat(None));
    acked.iter().copied().zip(answers).filter(|(n, answer)| *answer != Some(*n)).map(|(n, _)| n)
}

/// Milliseconds, rounded up: a figure that is compared with a promise never flatters.
pub(crate) fn ceil_ms(time: Duration) -> u64 {
    u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(300);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn pause(acks: &[u64], event: u64, end: u64) -> Option<u64> {
        let span = Span { event: ms(event), end: ms(end) };
        longest_pause(acks.iter().copied().map(ms), span, PATIENCE).map(ceil_ms)
    }

    #[test]
    fn the_gap_runs_from_the_last_write_before_to_the_first_after_the_longest_pause() {
        for (acks, event, end, gap) in [
            // One clean gap.
            (&[1, 2, 3, 20, 21, 22][..], 3, 22, Some(17)),
            // The event falls into the gap.
            (&[1, 2, 3, 20, 21], 10, 21, Some(17)),
            // A second, longer pause after the first success is the one that counts.
            (&[1, 2, 10, 11, 60, 61], 2, 61, Some(49)),
            // A pause that ended before the event is none of its.
            (&[1, 90, 91, 92, 95], 91, 95, Some(3)),
            // Nothing acknowledged before the event: it counts from the event.
            (&[30, 31], 10, 31, Some(20)),
            // Writes never came back.
            (&[1, 2, 3], 3, 5000, None),
            (&[], 3, 5000, None),
            // They came back and stopped again.
            (&[1, 2, 10, 11], 2, 5000, None),
            // The end cuts off one try, no more.
            (&[1, 2, 10, 11], 2, 200, Some(8)),
        ] {
            assert_eq!(pause(acks, event, end), gap, "{acks:?} event {event} end {end}");
        }
    }

    #[test]
    fn a_writer_that_was_left_behind_is_not_hidden_by_the_others() {
        let log = |writer, acks: &[u64]| WriterLog {
            writer,
            acks: acks.iter().map(|at| Ack { at: ms(*at), n: *at }).collect(),
            ..WriterLog::default()
        };
        let span = Span { event: ms(2), end: ms(400) };
        let logs = [log(0, &[1, 2, 3, 4, 390]), log(1, &[1, 200, 399])];
        assert_eq!(worst_writer_pause(&logs, span, PATIENCE), Some(ms(386)));
        let all = timeline(&logs);
        assert_eq!(longest_pause(all.into_iter(), span, PATIENCE), Some(ms(196)));
    }

    #[test]
    fn a_value_that_is_absent_or_of_another_write_is_lost() {
        let lost = |acked: &[u64], answers: &[Option<u64>]| missing(acked, answers).collect::<Vec<_>>();
        assert_eq!(lost(&[0, 1, 2], &[Some(0), Some(1), Some(2)]), [0_u64; 0]);
        assert_eq!(lost(&[0, 1, 2], &[Some(0), None, Some(7)]), [1, 2]);
        assert_eq!(lost(&[4, 5], &[Some(4)]), [5]);
    }

    proptest::proptest! {
        #[test]
        fn no_pause_is_longer_than_the_span_it_was_seen_in(
            mut acks in proptest::collection::vec(0_u64..10_000, 1..50),
            event in 0_u64..10_000,
        ) {
            acks.sort_unstable();
            let end = *acks.last().unwrap();
            if let Some(gap) = pause(&acks, event, end) {
                proptest::prop_assert!(gap <= end.saturating_sub(*acks.first().unwrap()).max(end.saturating_sub(event)));
            }
        }

        #[test]
        fn what_is_there_is_never_called_lost(acked in proptest::collection::vec(proptest::prelude::any::<u64>(), 0..50)) {
            let answers: Vec<_> = acked.iter().copied().map(Some).collect();
            proptest::prop_assert_eq!(missing(&acked, &answers).count(), 0);
        }
    }
}
