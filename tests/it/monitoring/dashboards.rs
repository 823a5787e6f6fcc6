//! The Grafana dashboards: made from the tables here, and every expression checked against real scrapes.

use mediaorigin_tests::folder::Folder;
use serde_json::{Value, json};

use super::{promtool, scrapes};
use crate::golden;

/// Width of a dashboard in Grafana's units.
const WIDTH: usize = 24;
/// Width and height of a panel.
const PANEL: (usize, usize) = (8, 8);

/// A panel: title, unit, what it shows, and its lines with their legends. `$P` selects the pods that were chosen.
type Panel = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Selects the pods that were chosen.
const CHOSEN: &str = "namespace=~\"$namespace\",pod=~\"$pod\"";
const POD: &str = "{{namespace}}/{{pod}}";

const ORIGINS: &[Panel] = &[
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

const OPERATOR: &[Panel] = &[
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
const FORMULA: Panel = (
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

struct Dashboard {
    file: &'static str,
    title: &'static str,
    /// Its labels are the choice of pods.
    metric: &'static str,
    panels: &'static [Panel],
    /// A table below them.
    table: Option<&'static Panel>,
}

const DASHBOARDS: [Dashboard; 2] = [
    Dashboard {
        file: "origins",
        title: "MediaOrigin / Origins",
        metric: "mediaorigin_ready",
        panels: ORIGINS,
        table: None,
    },
    Dashboard {
        file: "operator",
        title: "MediaOrigin / Operator",
        metric: "mediaorigin_operator_leader",
        panels: OPERATOR,
        table: Some(&FORMULA),
    },
];

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn panel((index, (title, unit, about, lines)): (usize, &Panel)) -> Value {
    let per_row = WIDTH / PANEL.0;
    let targets = lines.iter().zip('A'..).map(|((legend, expression), id)| {
        let expression = expression.replace("$P", CHOSEN);
        json!({ "refId": id, "datasource": source(), "expr": expression, "legendFormat": legend })
    });
    json!({
        "id": index + 1,
        "type": "timeseries",
        "title": title,
        "description": about,
        "datasource": source(),
        "gridPos": { "x": index % per_row * PANEL.0, "y": index / per_row * PANEL.1, "w": PANEL.0, "h": PANEL.1 },
        "fieldConfig": { "defaults": { "unit": unit, "min": 0 }, "overrides": [] },
        "options": { "legend": { "displayMode": "list", "placement": "bottom" }, "tooltip": { "mode": "multi" } },
        "targets": targets.collect::<Vec<_>>(),
    })
}

/// The last values of its lines, side by side; a row for what has the same labels.
fn table_below(above: usize, (title, unit, about, columns): &Panel) -> Value {
    let (places, ids) = (columns.iter().zip('A'..), columns.iter().zip('A'..));
    let targets = places.map(|((_, expression), id)| {
        let expression = expression.replace("$P", CHOSEN);
        json!({ "refId": id, "datasource": source(), "expr": expression, "format": "table", "instant": true })
    });
    let names: serde_json::Map<_, _> =
        ids.map(|((name, _), id)| (format!("Value #{id}"), Value::from(*name))).collect();
    let hidden = json!({ "Time": true, "__name__": true, "job": true, "instance": true, "namespace": true, "pod": true });
    json!({
        "id": above + 1,
        "type": "table",
        "title": title,
        "description": about,
        "datasource": source(),
        "gridPos": { "x": 0, "y": above.div_ceil(WIDTH / PANEL.0) * PANEL.1, "w": WIDTH, "h": PANEL.1 },
        "fieldConfig": { "defaults": { "unit": unit }, "overrides": [] },
        "targets": targets.collect::<Vec<_>>(),
        "transformations": [
            { "id": "merge", "options": {} },
            { "id": "organize", "options": { "excludeByName": hidden, "renameByName": names } },
        ],
    })
}

fn choice(label: &str, query: &str) -> Value {
    json!({
        "name": label,
        "type": "query",
        "datasource": source(),
        "query": { "query": query, "refId": label },
        "refresh": 2,
        "sort": 1,
        "multi": true,
        "includeAll": true,
        "allValue": ".*",
        "current": { "text": "All", "value": "$__all" },
    })
}

fn document(Dashboard { file, title, metric, panels, table }: &Dashboard) -> Value {
    let below = table.map(|table| table_below(panels.len(), table));
    json!({
        "uid": format!("mediaorigin-{file}"),
        "title": title,
        "tags": ["mediaorigin"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "timezone": "",
        "refresh": "30s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "type": "datasource", "query": "prometheus", "current": {} },
            choice("namespace", &format!("label_values({metric}, namespace)")),
            choice("pod", &format!("label_values({metric}{{namespace=~\"$namespace\"}}, pod)")),
        ] },
        "annotations": { "list": [] },
        "panels": panels.iter().enumerate().map(panel).chain(below).collect::<Vec<_>>(),
    })
}

/// `UPDATE=1` rewrites the dashboards.
#[test]
fn generated_dashboards() {
    for dashboard in DASHBOARDS {
        let text = serde_json::to_string_pretty(&document(&dashboard)).unwrap();
        let file = dashboard.file;
        golden::check(&format!("charts/mediaorigin-operator/files/dashboards/{file}.json"), &(text + "\n"));
    }
}

/// Row 68: what the dashboards of the chart ask for is in a real scrape, and Prometheus understands how they ask.
#[test]
fn row_68_every_metric_of_the_dashboards_is_in_a_scrape() {
    let mut rules = Vec::new();
    for Dashboard { file, .. } in DASHBOARDS {
        let text = golden::read(&format!("charts/mediaorigin-operator/files/dashboards/{file}.json"));
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        let targets = dashboard["panels"].as_array().unwrap().iter();
        for target in targets.flat_map(|panel| panel["targets"].as_array().unwrap()) {
            let expression = target["expr"].as_str().unwrap();
            assert_eq!(scrapes::unknown(expression), Vec::<String>::new(), "{file}: {expression}");
            let expression = expression.replace("$__rate_interval", "5m");
            rules.push(json!({ "record": format!("line:{}", rules.len()), "expr": expression }));
        }
    }
    assert!(rules.len() > 40, "only {} lines", rules.len());
    let folder = Folder::new("dashboards").unwrap();
    let file = json!({ "groups": [{ "name": "dashboards", "rules": rules }] });
    folder.write("rules.yaml", &file.to_string()).unwrap();
    promtool(&["check", "rules"], &folder.path().join("rules.yaml"));
}
