//! The Grafana dashboards: made from the tables in [`panels`], and every expression checked against real scrapes.

mod panels;

use mediaorigin_tests::folder::Folder;
use serde_json::{Value, json};

use super::{promtool, scrapes};
use crate::golden;
use panels::{FORMULA, OPERATOR, ORIGINS, Panel};

/// Width of a dashboard in Grafana's units.
const WIDTH: usize = 24;
/// Width and height of a panel.
const PANEL: (usize, usize) = (8, 8);

/// Selects the pods that were chosen.
const CHOSEN: &str = "namespace=~\"$namespace\",pod=~\"$pod\"";

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
    let columns = || columns.iter().zip('A'..);
    let targets = columns().map(|((_, expression), id)| {
        let expression = expression.replace("$P", CHOSEN);
        json!({ "refId": id, "datasource": source(), "expr": expression, "format": "table", "instant": true })
    });
    let names: serde_json::Map<_, _> =
        columns().map(|((name, _), id)| (format!("Value #{id}"), Value::from(*name))).collect();
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
