//! When each alert fires, and when it does not. Series have `namespace="media"` and `pod="live-1"`, one sample a minute.

/// One case.
pub(super) struct Case {
    pub(super) alert: &'static str,
    pub(super) about: &'static str,
    /// Series in the words of `promtool`: name, labels, values.
    pub(super) series: &'static [&'static str],
    /// The labels of each alert that fires.
    pub(super) fires: &'static [&'static str],
}

const POD: &str = "{namespace: media, pod: live-1}";
const NAMESPACE: &str = "{namespace: media}";
const STREAM: &str = "{namespace: media, pod: live-1, stream: live/a}";

const fn fires(
    alert: &'static str,
    about: &'static str,
    series: &'static [&'static str],
    labels: &'static [&'static str],
) -> Case {
    Case { alert, about, series, fires: labels }
}

const fn silent(alert: &'static str, about: &'static str, series: &'static [&'static str]) -> Case {
    Case { alert, about, series, fires: &[] }
}

pub(super) const CASES: &[Case] = &[
    fires(
        "MediaOriginNotReady",
        "not ready",
        &["mediaorigin_ready 0x60", "mediaorigin_draining 0x60"],
        &[POD],
    ),
    silent(
        "MediaOriginNotReady",
        "about to stop",
        &["mediaorigin_ready 0x60", "mediaorigin_draining 0x30 1x30"],
    ),
    silent(
        "MediaOriginNotReady",
        "for two minutes",
        &["mediaorigin_ready 1x37 0x20", "mediaorigin_draining 0x60"],
    ),
    fires(
        "MediaOriginErrors",
        "two in a hundred",
        &[
            "mediaorigin_requests_total{status=\"200\"} 0+98x60",
            "mediaorigin_requests_total{status=\"503\"} 0+2x60",
        ],
        &[POD],
    ),
    silent(
        "MediaOriginErrors",
        "one in a thousand, and many that clients made",
        &[
            "mediaorigin_requests_total{status=\"200\"} 0+999x60",
            "mediaorigin_requests_total{status=\"404\"} 0+500x60",
            "mediaorigin_requests_total{status=\"500\"} 0+1x60",
        ],
    ),
    fires(
        "MediaOriginUploadsLost",
        "one a minute of one reason",
        &[
            "mediaorigin_uploads_lost_total{reason=\"full\"} 0+1x60",
            "mediaorigin_uploads_lost_total{reason=\"broken\"} 4x60",
        ],
        &["{namespace: media, pod: live-1, reason: full}"],
    ),
    silent("MediaOriginUploadsLost", "two", &["mediaorigin_uploads_lost_total{reason=\"broken\"} 0x35 2x25"]),
    fires(
        "MediaOriginStreamLate",
        "a minute",
        &[
            "mediaorigin_stream_late{stream=\"live/a\"} 0x38 1x20",
            "mediaorigin_stream_live_edge_age_seconds{stream=\"live/a\"} 2x38 30+60x20",
        ],
        &[STREAM],
    ),
    silent(
        "MediaOriginStreamLate",
        "over since half an hour",
        &[
            "mediaorigin_stream_late{stream=\"live/a\"} 1x60",
            "mediaorigin_stream_live_edge_age_seconds{stream=\"live/a\"} 0+60x60",
        ],
    ),
    silent(
        "MediaOriginStreamLate",
        "in time",
        &[
            "mediaorigin_stream_late{stream=\"live/a\"} 0x60",
            "mediaorigin_stream_live_edge_age_seconds{stream=\"live/a\"} 2x60",
        ],
    ),
    fires(
        "MediaOriginSegmentsMissing",
        "one more",
        &["mediaorigin_stream_missing_segments{stream=\"live/a\"} 3x35 4x25"],
        &[STREAM],
    ),
    silent(
        "MediaOriginSegmentsMissing",
        "as many as before",
        &["mediaorigin_stream_missing_segments{stream=\"live/a\"} 3x60"],
    ),
    silent(
        "MediaOriginSegmentsMissing",
        "one came late",
        &["mediaorigin_stream_missing_segments{stream=\"live/a\"} 3x35 2x25"],
    ),
    fires(
        "MediaOriginPlayersStarve",
        "two in a hundred",
        &["mediaorigin_cmcd_requests_total 0+100x60", "mediaorigin_cmcd_starvations_total 0+2x60"],
        &[POD],
    ),
    silent(
        "MediaOriginPlayersStarve",
        "one player",
        &["mediaorigin_cmcd_requests_total 0+20x60", "mediaorigin_cmcd_starvations_total 0+2x60"],
    ),
    silent(
        "MediaOriginPlayersStarve",
        "none",
        &["mediaorigin_cmcd_requests_total 0+100x60", "mediaorigin_cmcd_starvations_total 0x60"],
    ),
    fires(
        "MediaOriginReadsShed",
        "recordings wait",
        &[
            "mediaorigin_reads_shed_total{class=\"vod\",reason=\"lag\"} 0+5x60",
            "mediaorigin_reads_shed_total{class=\"live\",reason=\"lag\"} 0x60",
        ],
        &["{namespace: media, pod: live-1, class: vod, reason: lag}"],
    ),
    silent(
        "MediaOriginReadsShed",
        "long ago",
        &["mediaorigin_reads_shed_total{class=\"vod\",reason=\"lag\"} 0x20 5x40"],
    ),
    fires("MediaOriginConnectionsFull", "once", &["mediaorigin_connections_full_total 0x35 1x25"], &[POD]),
    silent("MediaOriginConnectionsFull", "long ago", &["mediaorigin_connections_full_total 0x20 1x40"]),
    fires("MediaOriginConfigRefused", "since long", &["mediaorigin_config_refused 0x10 1x50"], &[POD]),
    silent("MediaOriginConfigRefused", "for two minutes", &["mediaorigin_config_refused 0x37 1x20"]),
    fires("MediaOriginSecretRefused", "since long", &["mediaorigin_secret_refused 0x10 1x50"], &[POD]),
    silent("MediaOriginSecretRefused", "for two minutes", &["mediaorigin_secret_refused 0x37 1x20"]),
    fires(
        "MediaOriginCertificateEnds",
        "in two days",
        &["mediaorigin_tls_certificate_not_after_timestamp_seconds 172800x60"],
        &[POD],
    ),
    silent(
        "MediaOriginCertificateEnds",
        "in four days",
        &["mediaorigin_tls_certificate_not_after_timestamp_seconds 345600x60"],
    ),
    fires("MediaOriginCertificateRefused", "since long", &["mediaorigin_tls_refused 0x10 1x50"], &[POD]),
    silent("MediaOriginCertificateRefused", "for five minutes", &["mediaorigin_tls_refused 0x34 1x20"]),
    fires(
        "MediaOriginCopiesOwed",
        "for half an hour",
        &["mediaorigin_copies_owed 3x60", "mediaorigin_copies_failed_total 0+1x60"],
        &[POD],
    ),
    silent(
        "MediaOriginCopiesOwed",
        "copies go on",
        &["mediaorigin_copies_owed 3x60", "mediaorigin_copies_failed_total 7x60"],
    ),
    silent(
        "MediaOriginCopiesOwed",
        "a failure that passed",
        &["mediaorigin_copies_owed 3x20 0x40", "mediaorigin_copies_failed_total 0x15 2x45"],
    ),
    fires("MediaOriginOperatorNobodyActs", "all wait", &["mediaorigin_operator_leader 0x60"], &[NAMESPACE]),
    fires("MediaOriginOperatorNobodyActs", "none is scraped", &["up 0x60"], &["{}"]),
    silent(
        "MediaOriginOperatorNobodyActs",
        "one of two acts",
        &[
            "mediaorigin_operator_leader{instance=\"a\"} 1x60",
            "mediaorigin_operator_leader{instance=\"b\"} 0x60",
        ],
    ),
    fires(
        "MediaOriginOperatorReconcilesFail",
        "every other",
        &[
            "mediaorigin_operator_reconciles_total{result=\"Ok\"} 0+1x60",
            "mediaorigin_operator_reconciles_total{result=\"Failed\"} 0+1x60",
        ],
        &[POD],
    ),
    silent(
        "MediaOriginOperatorReconcilesFail",
        "one in ten",
        &[
            "mediaorigin_operator_reconciles_total{result=\"Ok\"} 0+9x60",
            "mediaorigin_operator_reconciles_total{result=\"Failed\"} 0+1x60",
        ],
    ),
    fires(
        "MediaOriginsNotReady",
        "one",
        &[
            "mediaorigin_operator_origins{state=\"Ready\"} 5x60",
            "mediaorigin_operator_origins{state=\"NotReady\"} 1x60",
        ],
        &[NAMESPACE],
    ),
    silent(
        "MediaOriginsNotReady",
        "one that starts",
        &["mediaorigin_operator_origins{state=\"NotReady\"} 0x30 1x30"],
    ),
    fires(
        "MediaOriginsStalled",
        "one",
        &["mediaorigin_operator_origins{state=\"Stalled\"} 0x20 1x40"],
        &[NAMESPACE],
    ),
    silent("MediaOriginsStalled", "none", &["mediaorigin_operator_origins{state=\"Stalled\"} 0x60"]),
];
