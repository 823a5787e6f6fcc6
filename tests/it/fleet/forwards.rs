//! What a live stream needs of a fleet: no reader is led back to an older manifest, whichever pods he asks, and half an upload is never
//! taken for a whole one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;
use mediaorigin_tests::peer::{Peer, Piece};

use super::faults::Fault;
use super::pods::{Fleet, wait_until};

const MANIFEST: &str = "/live/a/index.m3u8";
const PODS: usize = 3;

/// What the encoder, the readers and the test share.
struct Stream {
    /// Where pods are, if they are there.
    pods: [RwLock<Option<SocketAddr>>; PODS],
    /// The last number that was acknowledged.
    acknowledged: AtomicU64,
    /// Answers that readers got with a manifest.
    reads: [AtomicU64; PODS + 1],
    is_over: AtomicBool,
}

impl Stream {
    fn pod(&self, pod: usize) -> Option<SocketAddr> {
        *self.pods[pod].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self, pod: usize, address: Option<SocketAddr>) {
        *self.pods[pod].write().unwrap_or_else(PoisonError::into_inner) = address;
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Waits until the encoder has got through with `more` manifests, and every reader has got as many answers.
    fn go_on(&self, more: u64) {
        let counts = || {
            let reads = self.reads.iter().map(|reads| reads.load(Ordering::SeqCst));
            reads.chain([self.acknowledged.load(Ordering::SeqCst)]).collect::<Vec<_>>()
        };
        let before = counts();
        wait_until("the stream to go on", || {
            let now = counts();
            let goes_on = now.iter().zip(&before).all(|(now, before)| *now >= before + more);
            goes_on.then_some(()).ok_or_else(|| format!("{now:?}"))
        });
    }
}

/// One request on a connection that is kept, if the pod is there and answers.
fn ask(
    stream: &Stream,
    connection: &mut Option<(SocketAddr, Peer)>,
    pod: usize,
    method: &str,
    body: Option<&[u8]>,
) -> Option<(u16, Vec<u8>)> {
    let address = stream.pod(pod)?;
    if connection.as_ref().is_none_or(|(of, _)| *of != address) {
        *connection = Some((address, Peer::connect(address).ok()?));
    }
    let (_, peer) = connection.as_mut()?;
    let Ok(answer) = peer.request(method, MANIFEST, &[], body) else {
        *connection = None;
        return None;
    };
    Some((answer.head.status, answer.body))
}

/// Numbered manifests in order, each to any pod, and again to any other until one acknowledges it.
fn encode(stream: &Stream, mut chance: Rng) {
    for number in 1.. {
        loop {
            if stream.is_over() {
                return;
            }
            let text = format!("#EXTM3U\n#{number}\n");
            let answer = ask(stream, &mut None, chance.usize(..PODS), "PUT", Some(text.as_bytes()));
            match answer.map(|(status, _)| status) {
                Some(201 | 204) => break,
                None | Some(503) => thread::sleep(Duration::from_millis(20)),
                Some(status) => panic!("PUT of {number}: {status}"),
            }
        }
        stream.acknowledged.store(number, Ordering::SeqCst);
    }
}

/// A reader of one pod, or of all in turn: no answer is older than the one before, nor than what was acknowledged when he asked.
fn read(stream: &Stream, reader: usize) {
    let mut connections: [Option<(SocketAddr, Peer)>; PODS] = [None, None, None];
    let mut newest = 0;
    for turn in 0.. {
        if stream.is_over() {
            return;
        }
        let pod = if reader < PODS { reader } else { turn % PODS };
        let acknowledged = stream.acknowledged.load(Ordering::SeqCst);
        match ask(stream, &mut connections[pod], pod, "GET", None) {
            Some((200, body)) => {
                let text = String::from_utf8(body).unwrap();
                let number: u64 = text.rsplit('#').next().unwrap().trim().parse().unwrap();
                assert!(number >= newest, "reader {reader} was given {number} by pod {pod} behind {newest}");
                assert!(
                    number >= acknowledged,
                    "pod {pod} says {number} where {acknowledged} was acknowledged"
                );
                newest = number;
                stream.reads[reader].fetch_add(1, Ordering::SeqCst);
            }
            Some((404, _)) => assert_eq!((newest, acknowledged), (0, 0), "pod {pod} knows nothing any more"),
            None | Some((503, _)) => thread::sleep(Duration::from_millis(5)),
            Some((status, _)) => panic!("GET from pod {pod}: {status}"),
        }
    }
}

#[test]
fn no_manifest_goes_backwards() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut chance = Rng::with_seed(seed);
    let mut fleet = Fleet::start(PODS, "[]", false);
    let stream = Arc::new(Stream {
        pods: [0, 1, 2].map(|pod| RwLock::new(Some(fleet.pod(pod).media))),
        acknowledged: AtomicU64::new(0),
        reads: [0; PODS + 1].map(AtomicU64::new),
        is_over: AtomicBool::new(false),
    });
    let encoder = {
        let (stream, chance) = (Arc::clone(&stream), chance.fork());
        thread::spawn(move || encode(&stream, chance))
    };
    let readers = (0..=PODS).map(|reader| {
        let stream = Arc::clone(&stream);
        thread::spawn(move || read(&stream, reader))
    });
    let clients: Vec<JoinHandle<()>> = readers.chain([encoder]).collect();
    stream.go_on(20);
    for fault in [Fault::ReplacePod, Fault::KillLeader, Fault::CutPod, Fault::ReplacePod, Fault::StopPod] {
        fault.happen(&mut fleet, &|pod, address| stream.moved(pod, address), &mut chance);
        stream.go_on(20);
    }
    stream.is_over.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().unwrap();
    }
}

/// How an upload breaks off.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// Its connection is cut before its last byte.
    Connection,
    /// Its pod is killed.
    Pod,
}

/// Whether a reader on any pod is told that he has it all, or the bucket has it.
#[test]
fn half_an_upload_is_never_a_whole_one() {
    let rules = "[{name: all, match: {paths: [\"**\"]}, durability: Durable}]";
    let mut fleet = Fleet::start(PODS, rules, true);
    fleet.put(1, "/vod/old.mp4", b"what was there");
    let (length, chunked) = (("Content-Length", "1000000"), ("Transfer-Encoding", "chunked"));
    for (turn, (framing, how)) in [
        (length, Break::Connection),
        (chunked, Break::Connection),
        (length, Break::Pod),
        (chunked, Break::Pod),
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("/vod/{turn}.m4s");
        let header = [(framing.0.to_owned(), framing.1.to_owned())];
        let begin = |target: &str| {
            let mut writer = Peer::connect(fleet.pod(0).media).unwrap();
            writer.send_head("PUT", target, &header).unwrap();
            let half = vec![b'x'; 400_000];
            if framing == chunked { writer.send_chunk(&half) } else { writer.send(&half) }.unwrap();
            writer
        };
        let mut writers = [begin(&target), begin("/vod/old.mp4")];
        let mut readers: Vec<Peer> =
            (0..PODS).map(|pod| Peer::follow(fleet.pod(pod).media, &target).unwrap()).collect();
        for reader in &mut readers {
            assert_eq!(reader.read_exact(400_000).unwrap().len(), 400_000);
        }
        match how {
            Break::Connection => writers.iter_mut().for_each(|writer| writer.cut().unwrap()),
            Break::Pod => fleet.kill(0),
        }
        for (pod, reader) in readers.iter_mut().enumerate() {
            assert_eq!(reader.read_rest().unwrap(), (Vec::new(), Piece::Cut), "{how:?} pod {pod}");
        }
        if matches!(how, Break::Pod) {
            fleet.replace(0);
        }
        for pod in 0..PODS {
            wait_until("the broken upload to be gone", || match fleet.get(pod, &target).head.status {
                404 => Ok(()),
                status => Err(status.to_string()),
            });
            assert_eq!(fleet.get(pod, "/vod/old.mp4").body, b"what was there", "{how:?} pod {pod}");
        }
        let store = fleet.store.as_ref().unwrap();
        let found = store.curl(&format!("origin{target}"), &[]);
        assert!(found.is_err(), "the bucket has {target}");
        assert_eq!(store.curl("origin/vod/old.mp4", &[]).unwrap().stdout, b"what was there");
    }
}
