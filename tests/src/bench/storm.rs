//! OP-05 and OP-06: what a storm of reads does to who publishes and to who watches live. The storm is wrk's, from as many connections as
//! the origin takes; calm and storm alternate.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use super::Server;
use super::delay::percentile;
use super::server::file_name;
use crate::folder::Folder;
use crate::peer::Peer;

/// Connections of the storm.
const CONNECTIONS: usize = 400;
/// How long each weather lasts in a round.
const SPELL: Duration = Duration::from_secs(3);
/// Between two uploads, and between two requests of a viewer.
const PACE: Duration = Duration::from_millis(20);
const VIEWERS: usize = 4;
const SEGMENT: usize = 100 << 10;
const RECORDING: usize = 1 << 20;
/// Other names every time: none is in memory, nor remembered.
const NAMES: &str = "local n = 0\nrequest = function()\n  n = n + 1\n  return wrk.format(\"GET\", \"/live/nobody-has-\" .. n .. \"-\" .. math.random(1e9) .. \".ts\")\nend\n";

/// What the readers of the storm ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Calm,
    Recordings,
    Names,
}

/// What was seen in one weather.
#[derive(Debug, Default)]
struct Seen {
    uploads: Vec<Duration>,
    live: Vec<Duration>,
    answers: f64,
    refused: u64,
    cpu: f64,
}

const WEATHERS: [(Weather, &str); 3] = [
    (Weather::Calm, "calm"),
    (Weather::Recordings, "400 connections ask for a recording of 1 MB"),
    (Weather::Names, "400 connections ask for names that nobody has"),
];

/// Alternates the weathers `rounds` times; the result is a Markdown table.
pub(super) fn run(server: &Server, folder: &Folder, rounds: usize) -> Result<String> {
    server.prepare(folder, RECORDING)?;
    let script = folder.write("names.lua", NAMES)?;
    let mut seen: [Seen; 3] = Default::default();
    for _ in 0..rounds {
        for (seen, (weather, _)) in seen.iter_mut().zip(WEATHERS) {
            spell(server, weather, &script, seen)?;
        }
    }
    Ok(render(seen, rounds))
}

fn spell(server: &Server, weather: Weather, script: &str, seen: &mut Seen) -> Result<()> {
    let media = server.address;
    let (before, begin) = (server.cpu_nanos()?, Instant::now());
    let storm = (weather != Weather::Calm).then(|| storm(media, weather, script)).transpose()?;
    let end = begin + SPELL;
    let is_live = AtomicBool::new(false);
    thread::scope(|scope| {
        let publisher = scope.spawn(|| publish(media, end, &is_live));
        let viewers: Vec<_> = (0..VIEWERS).map(|_| scope.spawn(|| watch(media, end, &is_live))).collect();
        seen.uploads.extend(publisher.join().map_err(|_| anyhow!("the publisher panicked"))??);
        for viewer in viewers {
            seen.live.extend(viewer.join().map_err(|_| anyhow!("a viewer panicked"))??);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    seen.cpu += (server.cpu_nanos()? - before) as f64 / begin.elapsed().as_nanos() as f64;
    if let Some(storm) = storm {
        let output = storm.wait_with_output()?;
        ensure!(output.status.success(), "wrk: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout);
        let number = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
        seen.answers += number("Requests/sec:").context("wrk counted nothing")?.parse::<f64>()?;
        seen.refused += number("Non-2xx or 3xx responses:").map_or(Ok(0), str::parse)?;
    }
    Ok(())
}

/// Readers elsewhere in the world: they give way to those whose times are taken.
fn storm(media: SocketAddr, weather: Weather, script: &str) -> Result<Child> {
    let mut command = Command::new("nice");
    command.args(["-n", "19", "wrk", "-t", "1", "-c", &CONNECTIONS.to_string()]);
    command.args(["-d", &format!("{}s", SPELL.as_secs())]);
    match weather {
        Weather::Names => command.args(["-s", script, &format!("http://{media}/")]),
        _ => command.arg(format!("http://{media}/{}", file_name(RECORDING))),
    };
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("wrk")
}

/// From the first byte of a segment until the origin has acknowledged it.
fn publish(media: SocketAddr, end: Instant, is_live: &AtomicBool) -> Result<Vec<Duration>> {
    let (mut peer, body, mut times) = (Peer::connect(media)?, vec![7; SEGMENT], Vec::new());
    while Instant::now() < end {
        let begin = Instant::now();
        let target = format!("/live/seg{}.ts", times.len() % 20);
        let status = peer.request("PUT", &target, &[], Some(&body))?.head.status;
        ensure!(matches!(status, 200 | 201 | 204), "PUT {target}: {status}");
        times.push(begin.elapsed());
        is_live.store(true, Relaxed);
        thread::sleep(PACE);
    }
    Ok(times)
}

fn watch(media: SocketAddr, end: Instant, is_live: &AtomicBool) -> Result<Vec<Duration>> {
    let (mut peer, mut times) = (Peer::connect(media)?, Vec::new());
    while Instant::now() < end {
        thread::sleep(PACE);
        if !is_live.load(Relaxed) {
            continue;
        }
        let begin = Instant::now();
        let status = peer.request("GET", "/live/seg0.ts", &[], None)?.head.status;
        ensure!(status == 200, "a viewer of the live stream got {status}");
        times.push(begin.elapsed());
    }
    Ok(times)
}

fn render(seen: [Seen; 3], rounds: usize) -> String {
    let mut text = format!(
        "Storms (OP-05, OP-06), {rounds} spells of {} s each: every upload and every read of the live edge was answered; milliseconds, and \
         the ratio to calm at the 99th percentile\n\n\
         | | PUT p50 | PUT p99 | live p50 | live p99 | answers/s to the storm | refused (404, 503) | CPU of the origin |\n\
         |---|---|---|---|---|---|---|---|",
        SPELL.as_secs()
    );
    let mut calm = [f64::NAN; 2];
    for (Seen { mut uploads, mut live, answers, refused, cpu }, (weather, name)) in
        seen.into_iter().zip(WEATHERS)
    {
        uploads.sort();
        live.sort();
        let at = |times: &[Duration], percent| {
            percentile(times, percent).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        let p99 = [at(&uploads, 99), at(&live, 99)];
        if weather == Weather::Calm {
            calm = p99;
        }
        let [uploads_ratio, live_ratio] = [p99[0] / calm[0], p99[1] / calm[1]];
        let _ = write!(
            text,
            "\n| {name} | {:.1} | {:.1} (×{uploads_ratio:.2}) | {:.1} | {:.1} (×{live_ratio:.2}) | {:.0} | {refused} | {:.0} % |",
            at(&uploads, 50),
            p99[0],
            at(&live, 50),
            p99[1],
            answers / rounds as f64,
            cpu / rounds as f64 * 100.0
        );
    }
    text
}
