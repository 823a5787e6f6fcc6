//! A small publisher of low-latency HLS, which no encoder at hand makes: ffmpeg's fragments are its parts, and each part's
//! upload is open before the playlist hints at it, so that a player may ask for it before it has a byte.

use std::fmt::Write;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, ensure};
use mediaorigin_tests::peer::Peer;

use super::encoder::wait_for;

/// Video frames in a segment, which is a second.
const FRAMES: u32 = 15;
/// Complete segments in the playlist, all of them with their parts: a player that a busy machine kept waiting for seconds is
/// behind the three segments whose parts a playlist must have (RFC 8216bis, 4.4.4.9), and would go on with whole ones.
const WINDOW: usize = 12;
/// A fragment is cut when it has a quarter of a second, at a frame's end.
const ENCODER: &str = "-hide_banner -nostdin -loglevel error -re -f lavfi -i testsrc2=size=320x180:rate=15 \
    -re -f lavfi -i sine=sample_rate=48000 -t 300 -map 0:v -map 1:a -c:v libx264 -preset ultrafast \
    -tune zerolatency -pix_fmt yuv420p -g 15 -keyint_min 15 -sc_threshold 0 -c:a aac -b:a 64k -f mp4 \
    -movflags empty_moov+default_base_moof+frag_keyframe -frag_duration 250000 -flush_packets 1 pipe:1";

/// A running publisher. Dropping it ends it.
pub(super) struct Publisher {
    encoder: Child,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Publisher {
    /// Publishes `live.m3u8` in a folder.
    pub(super) fn start(media: SocketAddr, folder: &str) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args(ENCODER.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut encoder = command.spawn().unwrap();
        let (mut output, base) = (encoder.stdout.take().unwrap(), format!("/{folder}"));
        let thread = Some(thread::spawn(move || Stream::new(media, base)?.publish(&mut output)));
        let publisher = Self { encoder, thread };
        wait_for(media, &format!("/{folder}/live.m3u8"), "segment5.m4s");
        publisher
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.encoder.kill();
        let _ = self.encoder.wait();
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the publisher ended: {error:#}");
        }
    }
}

/// A part that is there.
struct Part {
    frames: u32,
    bytes: Vec<u8>,
}

/// Its parts in order.
type Segment = Vec<Part>;

/// What has been published.
struct Stream {
    base: String,
    /// The connection for the next part, with its upload open, and one for everything else.
    hinted: Peer,
    origin: Peer,
    /// All segments; the last one is not complete.
    segments: Vec<Segment>,
}

impl Stream {
    fn new(media: SocketAddr, base: String) -> Result<Self> {
        let (hinted, origin) = (Peer::connect(media)?, Peer::connect(media)?);
        Ok(Self { base, hinted, origin, segments: vec![Segment::new()] })
    }

    fn publish(mut self, output: &mut impl Read) -> Result<()> {
        let mut header = Vec::new();
        let mut frames = 0;
        let mut fragment = Vec::new();
        while let Some((kind, bytes)) = next_box(output)? {
            match &kind {
                b"ftyp" => header = bytes,
                b"moov" => {
                    header.extend(bytes);
                    self.put("init.mp4", &header)?;
                    self.announce()?;
                }
                b"moof" => {
                    frames = first_sample_count(&bytes).context("a fragment without samples")?;
                    self.hinted.send_chunk(&bytes)?;
                    fragment = bytes;
                }
                b"mdat" => {
                    self.hinted.send_chunk(&bytes)?;
                    self.hinted.send_chunk(b"")?;
                    let status = self.hinted.read_head()?.status;
                    ensure!(status == 201, "a part was answered {status}");
                    self.hinted.read_rest()?;
                    fragment.extend(bytes);
                    self.append(Part { frames, bytes: std::mem::take(&mut fragment) })?;
                    self.announce()?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds a part, and its segment where it is the last one of that.
    fn append(&mut self, part: Part) -> Result<()> {
        let number = self.segments.len() - 1;
        let segment = &mut self.segments[number];
        segment.push(part);
        if segment.iter().map(|part| part.frames).sum::<u32>() >= FRAMES {
            let bytes: Vec<u8> = segment.iter().flat_map(|part| part.bytes.clone()).collect();
            self.put(&format!("segment{number}.m4s"), &bytes)?;
            self.segments.push(Segment::new());
        }
        Ok(())
    }

    /// Opens the upload of the next part, and then says so.
    fn announce(&mut self) -> Result<()> {
        let number = self.segments.len() - 1;
        let next = part_name(number, self.segments[number].len());
        let chunked = [("Transfer-Encoding".to_owned(), "chunked".to_owned())];
        self.hinted.send_head("PUT", &format!("{}/{next}", self.base), &chunked)?;
        let playlist = self.playlist(&next)?;
        self.put("live.m3u8", playlist.as_bytes())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let status =
            self.origin.request("PUT", &format!("{}/{name}", self.base), &[], Some(bytes))?.head.status;
        ensure!(matches!(status, 201 | 204), "{name} was answered {status}");
        Ok(())
    }

    fn playlist(&self, next: &str) -> Result<String> {
        let complete = self.segments.len() - 1;
        let first = complete.saturating_sub(WINDOW);
        // The hold back is longer than the three parts that it might be: without blocking reloads a player looks at the
        // playlist every now and then.
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:1\n#EXT-X-SERVER-CONTROL:PART-HOLD-BACK=2\n\
             #EXT-X-PART-INF:PART-TARGET=0.26667\n#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-MAP:URI=\"init.mp4\"\n"
        );
        for (number, segment) in self.segments.iter().enumerate().skip(first) {
            for (index, part) in segment.iter().enumerate() {
                let seconds = f64::from(part.frames) / f64::from(FRAMES);
                let independent = if index == 0 { ",INDEPENDENT=YES" } else { "" };
                let name = part_name(number, index);
                writeln!(text, "#EXT-X-PART:DURATION={seconds:.5},URI=\"{name}\"{independent}")?;
            }
            if number < complete {
                writeln!(text, "#EXTINF:1.00000,\nsegment{number}.m4s")?;
            }
        }
        writeln!(text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{next}\"")?;
        Ok(text)
    }
}

fn part_name(segment: usize, index: usize) -> String {
    format!("part{segment}.{index}.m4s")
}

/// The next box of an MP4: its kind, and all of it.
fn next_box(output: &mut impl Read) -> Result<Option<([u8; 4], Vec<u8>)>> {
    let mut bytes = vec![0; 8];
    match output.read_exact(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let (size, kind) = head(&bytes).context("a box without a head")?;
    ensure!(size >= 8, "a box of {size} bytes");
    bytes.resize(size, 0);
    output.read_exact(&mut bytes[8..])?;
    Ok(Some((kind, bytes)))
}

fn head(bytes: &[u8]) -> Option<(usize, [u8; 4])> {
    let size = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    Some((usize::try_from(size).ok()?, bytes.get(4..8)?.try_into().ok()?))
}

/// Samples of the first track, which is the picture, in a `moof`.
fn first_sample_count(moof: &[u8]) -> Option<u32> {
    let track = child(moof, *b"traf")?;
    let run = child(track, *b"trun")?;
    Some(u32::from_be_bytes(run.get(12..16)?.try_into().ok()?))
}

/// The first box of a kind in another one.
fn child(parent: &[u8], wanted: [u8; 4]) -> Option<&[u8]> {
    let mut rest = parent.get(8..)?;
    loop {
        let (size, kind) = head(rest)?;
        let found = rest.get(..size).filter(|found| found.len() >= 8)?;
        if kind == wanted {
            return Some(found);
        }
        rest = &rest[size..];
    }
}
