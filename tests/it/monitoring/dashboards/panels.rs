//! What the dashboards show.

/// A panel: title, unit, what it shows, and its lines with their legends. `$P` selects the pods that were chosen.
pub(super) type Panel = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const POD: &str = "{{namespace}}/{{pod}}";

pub(super) const ORIGINS: &[Panel] = &[
    (
        "Ready",
        "short",
        "Pods that are ready, and that are about to stop.",
        &[("ready", "sum(mediaorigin_ready{$P})"), ("draining", "sum(mediaorigin_draining{$P})")],
    ),
    (
        "Requests",
        "reqps",
        "By what became of them.",
        &[("{{outcome}}", "sum by (outcome) (rate(mediaorigin_requests_total{$P}[$__rate_interval]))")],
    ),
    (
        "Errors of the origin",
        "percentunit",
        "Answers of 500 and above, of all.",
        &[(
            POD,
            "sum by (namespace, pod) (rate(mediaorigin_requests_total{$P,status=~\"5..\"}[$__rate_interval])) / sum by (namespace, pod) (rate(mediaorigin_requests_total{$P}[$__rate_interval]))",
        )],
    ),
    (
        "Bytes",
        "binBps",
        "Bodies that are sent and received.",
        &[
            ("sent", "sum(rate(mediaorigin_sent_bytes_total{$P}[$__rate_interval]))"),
            ("received", "sum(rate(mediaorigin_received_bytes_total{$P}[$__rate_interval]))"),
        ],
    ),
    (
        "Age of the live edge",
        "s",
        "Since the newest segment of each stream.",
        &[("{{stream}}", "max by (namespace, stream) (mediaorigin_stream_live_edge_age_seconds{$P})")],
    ),
    (
        "Late streams, missing segments",
        "short",
        "Streams whose next segment is overdue; numbers that were left out.",
        &[
            ("late {{stream}}", "max by (namespace, stream) (mediaorigin_stream_late{$P}) > 0"),
            (
                "missing {{stream}}",
                "max by (namespace, stream) (mediaorigin_stream_missing_segments{$P}) > 0",
            ),
        ],
    ),
    (
        "Memory",
        "bytes",
        "What objects, uploads and readers hold, of what they may.",
        &[
            ("used", "sum(mediaorigin_memory_used_bytes{$P})"),
            ("must be kept", "sum(mediaorigin_memory_pinned_bytes{$P})"),
            ("may go", "sum(mediaorigin_memory_evictable_bytes{$P})"),
            ("budget for objects", "sum(mediaorigin_memory_budget_bytes{$P,term=\"objects\"})"),
        ],
    ),
    (
        "Objects that leave memory",
        "ops",
        "For want of room, or because their time is over.",
        &[
            ("evicted", "sum(rate(mediaorigin_evictions_total{$P}[$__rate_interval]))"),
            ("expired", "sum(rate(mediaorigin_expirations_total{$P}[$__rate_interval]))"),
        ],
    ),
    (
        "Uploads",
        "short",
        "Open, and refused or given up by reason.",
        &[
            ("open", "sum(mediaorigin_uploads_open{$P})"),
            (
                "lost: {{reason}}",
                "sum by (reason) (increase(mediaorigin_uploads_lost_total{$P}[$__rate_interval]))",
            ),
        ],
    ),
    (
        "Reads that have to wait",
        "ops",
        "Answered 503, by class and reason.",
        &[(
            "{{class}}: {{reason}}",
            "sum by (class, reason) (rate(mediaorigin_reads_shed_total{$P}[$__rate_interval]))",
        )],
    ),
    (
        "How far behind",
        "s",
        "The worker that is furthest behind.",
        &[(POD, "max by (namespace, pod) (mediaorigin_worker_lag_seconds{$P})")],
    ),
    (
        "Connections",
        "short",
        "Open, of those that may be; readers and those who wait for bytes.",
        &[
            ("open", "sum(mediaorigin_connections_open{$P})"),
            ("may be open", "sum(mediaorigin_connections_max{$P})"),
            ("readers", "sum(mediaorigin_readers{$P})"),
            ("waiting", "sum(mediaorigin_readers_waiting{$P})"),
        ],
    ),
    (
        "Connections cut",
        "ops",
        "Because a wait took too long, and requests refused before they were understood.",
        &[
            (
                "timeout: {{reason}}",
                "sum by (reason) (rate(mediaorigin_connection_timeouts_total{$P}[$__rate_interval])) > 0",
            ),
            (
                "refused: {{reason}}",
                "sum by (reason) (rate(mediaorigin_connection_refusals_total{$P}[$__rate_interval])) > 0",
            ),
        ],
    ),
    (
        "Players that ran empty",
        "percentunit",
        "Of the requests of players with CMCD.",
        &[(
            POD,
            "sum by (namespace, pod) (rate(mediaorigin_cmcd_starvations_total{$P}[$__rate_interval])) / sum by (namespace, pod) (rate(mediaorigin_cmcd_requests_total{$P}[$__rate_interval]))",
        )],
    ),
    (
        "Copies to lower tiers",
        "short",
        "Owed now, failed and given up.",
        &[
            ("owed", "sum(mediaorigin_copies_owed{$P})"),
            ("failed", "sum(increase(mediaorigin_copies_failed_total{$P}[$__rate_interval]))"),
            ("given up", "sum(increase(mediaorigin_copies_given_up_total{$P}[$__rate_interval]))"),
        ],
    ),
    (
        "Disk",
        "bytes",
        "What versions occupy, of what they may.",
        &[("used", "sum(mediaorigin_disk_bytes{$P})"), ("limit", "sum(mediaorigin_disk_limit_bytes{$P})")],
    ),
    (
        "Object store",
        "binBps",
        "Bytes read and written.",
        &[
            ("read", "sum(rate(mediaorigin_object_store_read_bytes_total{$P}[$__rate_interval]))"),
            ("written", "sum(rate(mediaorigin_object_store_written_bytes_total{$P}[$__rate_interval]))"),
        ],
    ),
    (
        "Certificate",
        "s",
        "Until the first certificate of the chain ends.",
        &[(
            POD,
            "min by (namespace, pod) (mediaorigin_tls_certificate_not_after_timestamp_seconds{$P}) - time()",
        )],
    ),
];

pub(super) const OPERATOR: &[Panel] = &[
    (
        "Origins",
        "short",
        "By what their conditions say.",
        &[("{{state}}", "sum by (state) (mediaorigin_operator_origins{$P})")],
    ),
    (
        "Who acts",
        "short",
        "1 is the operator that holds the Lease.",
        &[(POD, "max by (namespace, pod) (mediaorigin_operator_leader{$P})")],
    ),
    (
        "Reconciles",
        "ops",
        "By how they ended.",
        &[(
            "{{result}}",
            "sum by (result) (rate(mediaorigin_operator_reconciles_total{$P}[$__rate_interval]))",
        )],
    ),
    (
        "Duration of reconciles",
        "s",
        "Half of them and 99 in a hundred are faster.",
        &[
            (
                "half",
                "histogram_quantile(0.5, sum by (le) (rate(mediaorigin_operator_reconcile_seconds_bucket{$P}[$__rate_interval])))",
            ),
            (
                "99 in a hundred",
                "histogram_quantile(0.99, sum by (le) (rate(mediaorigin_operator_reconcile_seconds_bucket{$P}[$__rate_interval])))",
            ),
        ],
    ),
    (
        "Writes",
        "ops",
        "To children and pods, and to the status of origins.",
        &[
            (
                "{{action}}",
                "sum by (action) (rate(mediaorigin_operator_actions_total{$P}[$__rate_interval]))",
            ),
            ("status", "sum(rate(mediaorigin_operator_status_writes_total{$P}[$__rate_interval]))"),
        ],
    ),
    (
        "Pods of origins that are scaled",
        "short",
        "Asked for, ready, and wanted without maxReplicas and the scale-down window.",
        &[(
            "{{origin_namespace}}/{{origin}} {{state}}",
            "max by (origin_namespace, origin, state) (mediaorigin_operator_scaling_replicas{$P})",
        )],
    ),
    (
        "Pods that the load needs",
        "short",
        "By what it is made of; the highest counts.",
        &[(
            "{{origin_namespace}}/{{origin}} {{dimension}}",
            "max by (origin_namespace, origin, dimension) (mediaorigin_operator_scaling_needed_replicas{$P})",
        )],
    ),
    (
        "Decisions of the scaler",
        "ops",
        "By reason, as in the condition ScalingActive.",
        &[(
            "{{reason}}",
            "sum by (reason) (rate(mediaorigin_operator_scaling_decisions_total{$P}[$__rate_interval]))",
        )],
    ),
    (
        "Broken watches, lost events",
        "ops",
        "Watches are started again; what an event says is in the conditions too.",
        &[
            ("watches", "sum(rate(mediaorigin_operator_watch_errors_total{$P}[$__rate_interval]))"),
            ("events", "sum(rate(mediaorigin_operator_event_errors_total{$P}[$__rate_interval]))"),
        ],
    ),
];

/// The formula of the scaler with its numbers: a row for each origin and dimension, a column for each term.
pub(super) const FORMULA: Panel = (
    "How the number of pods was counted",
    "short",
    "(demand + lead × slope) / (capacity × utilization) = needed. Egress in bytes.",
    &[
        ("demand", "mediaorigin_operator_scaling_demand{$P}"),
        (
            "lead",
            "mediaorigin_operator_scaling_needed_replicas{$P} * 0 + on (pod, origin_namespace, origin) group_left () mediaorigin_operator_scaling_lead_seconds{$P}",
        ),
        ("slope", "mediaorigin_operator_scaling_slope{$P}"),
        ("capacity", "mediaorigin_operator_scaling_capacity{$P}"),
        (
            "utilization",
            "mediaorigin_operator_scaling_needed_replicas{$P} * 0 + on (pod, origin_namespace, origin) group_left () mediaorigin_operator_scaling_utilization{$P}",
        ),
        ("needed", "mediaorigin_operator_scaling_needed_replicas{$P}"),
    ],
);
