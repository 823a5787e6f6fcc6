//! Heads are read alike however they arrive, and never more laxly than actix-http's own parser reads them.

use actix_codec::Decoder as _;
use actix_http::h1::{Codec, Message, MessageType};

use super::*;

const LIMITS: HeadLimits = HeadLimits { size_bytes_max: 2048, headers_max: 8 };
const ROUNDS: usize = 40_000;

const SEEDS: [&str; 5] = [
    "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
    "PUT /a HTTP/1.1\r\nHost: a:80\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n",
    "POST http://a/b HTTP/1.1\r\nhost: [::1]\r\nTransfer-Encoding: chunked\r\nX: \t y\r\n\r\n",
    "HEAD / HTTP/1.0\r\nConnection: keep-alive, foo\r\n\r\n",
    "DELETE /%20 HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n",
];

const SPICES: [&str; 16] = [
    "\r",
    "\n",
    "\r\n",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    "+",
    "0",
    "HTTP/1.0",
    "Host: b\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "chunked",
    "é",
];

fn damaged(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = random.choice(SEEDS).unwrap_or(SEEDS[0]).as_bytes().to_vec();
    for _ in 0..random.usize(0..=3) {
        let at = random.usize(0..bytes.len());
        match random.u8(0..3) {
            0 => bytes[at] = random.u8(..),
            1 => drop(bytes.remove(at)),
            _ => drop(bytes.splice(at..at, random.choice(SPICES).unwrap_or_default().bytes())),
        }
    }
    bytes
}

/// Takes a head for the application.
fn take(reader: &mut HeadReader, inbox: &mut BytesMut) -> Result<Option<Head>, Refusal> {
    let taken = reader.take(inbox, LIMITS, Client::default(), |_| None::<()>)?;
    Ok(taken.map(|taken| match taken {
        Taken::Head(head) => head,
        Taken::Quick(()) => panic!("nobody answers quickly here"),
    }))
}

/// Reads a head given in pieces; also how many bytes were left of the last piece.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Result<Option<Head>, Refusal>, usize) {
    let (mut reader, mut inbox) = (HeadReader::default(), BytesMut::new());
    let mut outcome = Ok(None);
    for piece in pieces {
        inbox.extend_from_slice(piece);
        if matches!(outcome, Ok(None)) {
            outcome = take(&mut reader, &mut inbox);
        }
    }
    (outcome, inbox.len())
}

/// What must not depend on how the bytes arrive.
fn essence(outcome: &(Result<Option<Head>, Refusal>, usize)) -> String {
    match outcome {
        (Ok(Some(head)), left) => {
            let mut headers: Vec<_> =
                head.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
            headers.sort();
            let Head { method, target, version, framing, awaits_continue, keep_alive, .. } = head;
            let rest = (version, framing, awaits_continue, keep_alive, left);
            format!("{method} {target} {rest:?} {headers:?}")
        }
        // A bad head without an end is refused early or late, and the reason may differ with what is seen first.
        (Ok(None) | Err(_), _) => "not accepted".to_owned(),
    }
}

fn random() -> fastrand::Rng {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}

#[test]
fn a_head_is_read_alike_however_it_is_split() {
    let mut random = random();
    let mut accepted = 0;
    for _ in 0..ROUNDS {
        let bytes = damaged(&mut random);
        let whole = read(std::iter::once(&bytes[..]));
        let split = read(bytes.chunks(random.usize(1..=9)));
        assert_eq!(essence(&whole), essence(&split), "{:?}", bytes.escape_ascii().to_string());
        accepted += usize::from(matches!(whole.0, Ok(Some(_))));
    }
    assert!(
        accepted > ROUNDS / 10,
        "{accepted} of {ROUNDS} heads are good: the damage is too heavy to prove much"
    );
}

#[test]
fn what_is_accepted_means_the_same_to_another_parser() {
    let mut random = random();
    actix_web::rt::System::new().block_on(async move {
        for _ in 0..ROUNDS {
            let bytes = damaged(&mut random);
            let (Ok(Some(head)), left) = read(std::iter::once(&bytes[..])) else { continue };
            let shown = bytes.escape_ascii().to_string();
            let (mut codec, mut source) = (Codec::default(), BytesMut::from(&bytes[..]));
            let Ok(Some(Message::Item(request))) = codec.decode(&mut source) else {
                panic!("actix-http refuses {shown}")
            };
            assert_eq!(request.method(), head.method, "{shown}");
            assert_eq!(request.uri().path_and_query(), head.target.path_and_query(), "{shown}");
            assert_eq!((request.version(), source.len()), (head.version, left), "{shown}");
            let has_body = codec.message_type() == MessageType::Payload;
            assert_eq!(has_body, head.framing != Framing::Empty, "{shown}");
            assert_eq!(codec.keep_alive(), head.keep_alive, "{shown}");
        }
    });
}

#[test]
fn a_head_sent_byte_by_byte_is_not_parsed_at_every_byte() {
    let bytes = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &[b'x'; 1500][..], b"\r\n\r\n"].concat();
    let (mut reader, mut inbox, mut checks) = (HeadReader::default(), BytesMut::new(), 0);
    for byte in &bytes {
        let before = reader.check_at;
        inbox.extend_from_slice(&[*byte]);
        let done = take(&mut reader, &mut inbox).unwrap().is_some();
        checks += usize::from(reader.check_at != before && !done);
    }
    assert!(inbox.is_empty() && checks <= 12, "{checks}");
}
