//! The rules of `spec.autoscaling`.

use super::{Knows, Rule, both};

const CALENDAR: &str = "no schema knows a calendar";

/// The rules of `spec.autoscaling`.
pub(crate) const AUTOSCALING: &[Rule] = &[
    both(
        "more than one pod needs spec.coordination, by which they are one origin: set it, or use maxReplicas 1",
        &[
            "{autoscaling: {}}",
            "{autoscaling: {mode: Internal, maxReplicas: 1}}",
            "{autoscaling: {mode: External, maxReplicas: 9}}",
            "{autoscaling: {mode: Internal, maxReplicas: 9}, coordination: {nats: {url: 'nats://nats'}}}",
        ],
        &[
            ("spec.autoscaling.maxReplicas", "{autoscaling: {mode: Internal, maxReplicas: 2}}"),
            (
                "spec.autoscaling.maxReplicas",
                "{autoscaling: {mode: Internal, maxReplicas: 100}, objectStore: {url: 's3://b'}}",
            ),
        ],
    ),
    both(
        "mode Internal needs a bound: write maxReplicas",
        &["{autoscaling: {mode: External}}", "{autoscaling: {mode: Internal, maxReplicas: 1}}"],
        &[("spec.autoscaling.maxReplicas", "{autoscaling: {mode: Internal}}")],
    ),
    both(
        "maxReplicas is less than minReplicas: write at least as many",
        &["{autoscaling: {minReplicas: 2, maxReplicas: 2}}", "{autoscaling: {minReplicas: 100}}"],
        &[("spec.autoscaling.maxReplicas", "{autoscaling: {minReplicas: 3, maxReplicas: 2}}")],
    ),
    both(
        "a schedule asks for more than maxReplicas: write a smaller minReplicas in it, or a larger maxReplicas",
        &[
            "{autoscaling: {maxReplicas: 3, schedules: [{name: a, cron: '0 18 * * 6', durationSeconds: 60, minReplicas: 3}]}}",
            "{autoscaling: {schedules: [{name: a, cron: '0 18 * * 6', durationSeconds: 60, minReplicas: 100}]}}",
        ],
        &[(
            "spec.autoscaling.schedules[0].minReplicas",
            "{autoscaling: {maxReplicas: 3, schedules: [{name: a, cron: '0 18 * * 6', durationSeconds: 60, minReplicas: 4}]}}",
        )],
    ),
    both(
        "an event asks for more than maxReplicas: write a smaller minReplicas in it, or a larger maxReplicas",
        &[
            "{autoscaling: {maxReplicas: 3, events: [{name: a, start: '2026-07-19T21:00:00Z', durationSeconds: 60, minReplicas: 3}]}}",
            "{autoscaling: {maxReplicas: 3, events: [{name: a, start: '2026-07-19T21:00:00Z', durationSeconds: 60, \
             expectedPeak: {connections: 100}}]}}",
        ],
        &[(
            "spec.autoscaling.events[0].minReplicas",
            "{autoscaling: {maxReplicas: 3, events: [{name: a, start: '2026-07-19T21:00:00Z', durationSeconds: 60, minReplicas: 4}]}}",
        )],
    ),
    both(
        "Static and HoldIfHigher need a number of pods: write replicas, or policy Hold",
        &[
            "{autoscaling: {missingData: {}}}",
            "{autoscaling: {missingData: {policy: Static, replicas: 3}}}",
            "{autoscaling: {missingData: {policy: HoldIfHigher, replicas: 3}}}",
        ],
        &[
            ("spec.autoscaling.missingData.replicas", "{autoscaling: {missingData: {policy: Static}}}"),
            ("spec.autoscaling.missingData.replicas", "{autoscaling: {missingData: {policy: HoldIfHigher}}}"),
        ],
    ),
    both(
        "an event needs to say how much: write minReplicas or expectedPeak",
        &[
            "{autoscaling: {events: [{name: a, start: '2026-07-19T21:00:00Z', durationSeconds: 60, minReplicas: 4}]}}",
            "{autoscaling: {events: [{name: a, start: '2026-07-19T21:00:00+02:00', durationSeconds: 60, \
             expectedPeak: {requestsPerSecond: 100}}]}}",
        ],
        &[(
            "spec.autoscaling.events[0].minReplicas",
            "{autoscaling: {events: [{name: a, start: '2026-07-19T21:00:00Z', durationSeconds: 60}]}}",
        )],
    ),
    both(
        "an expected peak needs a load: write egressMegabitsPerSecond, requestsPerSecond or connections",
        &["{autoscaling: {events: [{name: a, start: '2026-07-19T21:00:00Z', durationSeconds: 60, \
             expectedPeak: {egressMegabitsPerSecond: 100}}]}}"],
        &[(
            "spec.autoscaling.events[0].expectedPeak",
            "{autoscaling: {events: [{name: a, start: '2026-07-19T21:00:00Z', durationSeconds: 60, minReplicas: 1, expectedPeak: {}}]}}",
        )],
    ),
    Rule {
        message: "is no hour: write *, numbers of 0 to 23, a-b, */n or a-b/n, with commas between them",
        knows: Knows::Validate("what may stand in which field of a cron is more than a pattern can say"),
        accepts: &[
            "{autoscaling: {schedules: [{name: a, cron: '*/5 1-4,8 1 JAN SUN', durationSeconds: 60, minReplicas: 1}]}}",
        ],
        refuses: &[(
            "spec.autoscaling.schedules[0].cron",
            "{autoscaling: {schedules: [{name: a, cron: '0 24 * * *', durationSeconds: 60, minReplicas: 1}]}}",
        )],
    },
    Rule {
        message: "there is no such day in any of its months",
        knows: Knows::Validate(CALENDAR),
        accepts: &[
            "{autoscaling: {schedules: [{name: a, cron: '0 0 29 2 *', durationSeconds: 60, minReplicas: 1}]}}",
        ],
        refuses: &[(
            "spec.autoscaling.schedules[0].cron",
            "{autoscaling: {schedules: [{name: a, cron: '0 0 30 2 *', durationSeconds: 60, minReplicas: 1}]}}",
        )],
    },
    Rule {
        message: "\"Europe/Atlantis\" is not a time zone",
        knows: Knows::Validate("no schema has the list of time zones"),
        accepts: &[
            "{autoscaling: {schedules: [{name: a, cron: '0 0 * * *', timeZone: America/Argentina/Buenos_Aires, durationSeconds: 60, \
             minReplicas: 1}]}}",
        ],
        refuses: &[(
            "spec.autoscaling.schedules[0].timeZone",
            "{autoscaling: {schedules: [{name: a, cron: '0 0 * * *', timeZone: Europe/Atlantis, durationSeconds: 60, minReplicas: 1}]}}",
        )],
    },
    Rule {
        message: "\"2026-02-29T21:00:00Z\" is not a time",
        knows: Knows::Validate(CALENDAR),
        accepts: &[
            "{autoscaling: {events: [{name: a, start: '2028-02-29T21:00:00Z', durationSeconds: 60, minReplicas: 1}]}}",
        ],
        refuses: &[(
            "spec.autoscaling.events[0].start",
            "{autoscaling: {events: [{name: a, start: '2026-02-29T21:00:00Z', durationSeconds: 60, minReplicas: 1}]}}",
        )],
    },
];
