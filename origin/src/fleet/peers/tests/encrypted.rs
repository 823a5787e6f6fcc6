//! The same by TLS, from pods of both settings to pods of both settings.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;

const PATH: &str = "live/a.ts";

#[tokio::test]
async fn pods_of_both_settings_ask_pods_of_both_settings() {
    let pods = [Pod::start_encrypted(), Pod::start_encrypted(), Pod::start(), Pod::start()];
    let data = pattern(3_000_000, 1);
    for holder in &pods {
        let uid = holder.put(PATH, &data).await.uid;
        for asker in &pods {
            let whole = soon(asker.peers.fetch(holder.address, PATH, uid, None)).await.unwrap();
            assert_eq!(all(whole.bytes).await.unwrap(), data);
            let part =
                soon(asker.peers.fetch(holder.address, PATH, uid, Some(65_000..131_073))).await.unwrap();
            assert_eq!(all(part.bytes).await.unwrap(), data[65_000..131_073]);
        }
    }
}

#[tokio::test]
async fn what_grows_comes_byte_by_byte_and_is_cut_where_it_is_given_up() {
    let (holder, asker) = (Pod::start_encrypted(), Pod::start());
    for is_finished in [true, false] {
        let mut upload = holder.open(PATH, None, true).await;
        upload.write(b"first", &holder.clock).await.unwrap();
        let uid = upload.version().uid;
        let mut bytes = soon(asker.peers.follow(holder.address, PATH, uid)).await.unwrap().bytes;
        assert_eq!(exactly(&mut bytes, 5).await, b"first");
        for step in 1..20 {
            let part = pattern(step * 7_000, step);
            upload.write(&part, &holder.clock).await.unwrap();
            assert_eq!(exactly(&mut bytes, part.len()).await, part, "in step {step}");
        }
        if is_finished {
            upload.commit(holder.clock.now(), KEEP, |_| true);
            assert_eq!(all(bytes).await, Ok(Vec::new()));
        } else {
            drop(upload);
            assert!(matches!(all(bytes).await, Err((rest, PeerError::Broken(_))) if rest.is_empty()));
        }
    }
}

/// Whoever is not of the fleet gets no session: neither one with another password, nor one of another fleet with the same.
#[tokio::test]
async fn another_key_is_nobodys() {
    let holder = Pod::start_encrypted();
    let uid = holder.put(PATH, b"secret").await.uid;
    let ask = async |password: &[u8], scope: &str| {
        let keys = Keys::of(password, scope).unwrap();
        let peers = Peers::new(&keys, patient(), Arc::default()).unwrap();
        soon(peers.fetch(holder.address, PATH, uid, None)).await.map(|_| ())
    };
    assert_eq!(ask(b"the password of all pods", "live").await, Ok(()));
    for (password, scope) in [(&b"another password"[..], "live"), (b"the password of all pods", "other")] {
        let refused = ask(password, scope).await.unwrap_err();
        assert!(matches!(refused, PeerError::Unreachable(_)), "{refused}");
    }
    // As it is, nothing is answered.
    let plain = Address::new(holder.address.socket(), false);
    let refused = soon(holder.peers.fetch(plain, PATH, uid, None)).await.map(|_| ());
    assert!(matches!(refused, Err(PeerError::Unreachable(_))), "{refused:?}");
    let mut stream = TcpStream::connect(holder.address.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let question = format!(
        "GET /blob/{uid}?path={PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        keys().token
    );
    stream.write_all(question.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // It may be reset.
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_pod_that_knows_no_key_yet_accepts_nobody() {
    let known = Arc::new(OnceLock::new());
    let settable = Arc::clone(&known);
    let holder = Pod::start_with(patient(), growing::Limits::default(), |settings| {
        (settings.is_encrypted, settings.keys) = (true, settable);
    });
    let uid = holder.put(PATH, b"secret").await.uid;
    let ask = async || soon(holder.peers.fetch(holder.address, PATH, uid, None)).await.map(|_| ());
    assert!(matches!(ask().await, Err(PeerError::Unreachable(_))));
    known.set(keys()).unwrap();
    assert_eq!(ask().await, Ok(()));
}

/// Who says nothing while hands should be shaken loses his place.
#[tokio::test]
async fn a_hand_that_nobody_shakes_is_let_go() {
    let holder = Pod::start_with(patient(), growing::Limits::default(), |settings| {
        (settings.is_encrypted, settings.stall_max) = (true, Duration::from_millis(100));
    });
    let mut silent = TcpStream::connect(holder.address.socket()).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    let _ = silent.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{answer:?}");
}
