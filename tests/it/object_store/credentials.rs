//! A store that is gone, refuses us, or has new keys.

use std::time::{Duration, Instant, SystemTime};

use mediaorigin_origin::clock::Clock;
use mediaorigin_origin::tiers::object_store::{ObjectStoreOptions, ObjectStoreTier};
use mediaorigin_origin::tiers::{ErrorKind, Source, Tier, TierError};
use mediaorigin_tests::s3::S3Server;

use super::{SECRET, Secret, World, options, record};

/// One call of each kind; all fail alike, with what they say.
async fn failures(tier: &ObjectStoreTier) -> (ErrorKind, String) {
    let wanted = record("a.ts", 1, b"");
    let mut errors: Vec<TierError> = vec![
        tier.find("a.ts").await.unwrap_err(),
        tier.list("", "", 9).await.unwrap_err(),
        tier.put(&wanted, &[]).await.unwrap_err(),
        tier.delete("a.ts", 1).await.unwrap_err(),
    ];
    errors.extend(tier.read(&record("a.ts", 1, b"x"), 0..1).await.err());
    assert_eq!(errors.len(), 5);
    let kind = errors[0].kind;
    assert!(errors.iter().all(|error| error.kind == kind), "{errors:?}");
    (kind, format!("{errors:?} {tier:?}"))
}

fn open(options: ObjectStoreOptions) -> ObjectStoreTier {
    ObjectStoreTier::open(options, Clock::manual(SystemTime::now())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_and_a_bucket_that_is_not_there_are_said_at_once() {
    let server = S3Server::start(SECRET).unwrap();
    let begin = Instant::now();
    let wrong = Secret::new("another-secret-that-is-wrong");
    let (kind, text) = failures(&open(options(server.address, wrong.path()))).await;
    assert_eq!(kind, ErrorKind::Denied);
    assert!(text.contains("SignatureDoesNotMatch"), "{text}");
    assert!(!text.contains("another-secret"), "{text}");

    let secret = Secret::new(SECRET);
    let missing = ObjectStoreOptions {
        url: "s3://no-such-bucket".to_owned(),
        ..options(server.address, secret.path())
    };
    let (kind, text) = failures(&open(missing)).await;
    assert_eq!(kind, ErrorKind::Denied, "{text}");
    assert!(text.contains("NoSuchBucket") && !text.contains(SECRET), "{text}");
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_unavailable_and_then_back() {
    let mut world = World::start().await;
    world.store("a.ts", 1, b"bytes").await;
    let direct = open(options(world.server.address, world.secret.path()));
    world.server.stop().unwrap();
    let begin = Instant::now();
    let (kind, text) = failures(&direct).await;
    assert_eq!(kind, ErrorKind::Unavailable, "{text}");
    assert!(text.contains("Connection refused"), "{text}");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    world.server.restart(SECRET).unwrap();
    assert!(direct.find("a.ts").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_are_used_without_a_restart() {
    let mut world = World::start().await;
    world.store("a.ts", 1, b"bytes").await;
    world.server.restart("the-next-secret").unwrap();
    assert_eq!(world.tier.find("a.ts").await.unwrap_err().kind, ErrorKind::Denied);
    world.secret.change("the-next-secret");
    // The refusal makes it look; nobody has to wait for the next round.
    assert!(world.tier.find("a.ts").await.unwrap().is_some());
    world.server.restart("a-third-secret").unwrap();
    world.secret.change("a-third-secret");
    world.store("a.ts", 2, b"newer").await;
    world.secret.change("nonsense");
    world.tier.tend().await;
    assert_eq!(world.tier.find("a.ts").await.unwrap_err().kind, ErrorKind::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_a_secret_is_an_error_and_not_a_stop() {
    let world = World::start().await;
    world.store("a.ts", 1, b"bytes").await;
    std::fs::remove_file(world.secret.path().join("accessKeyId")).unwrap();
    world.tier.tend().await;
    let error = world.tier.health().last_error.unwrap();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.text.contains("accessKeyId"), "{error:?}");
    assert!(world.tier.find("a.ts").await.unwrap().is_some(), "the old keys are still good");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_a_certificate_that_the_operator_gave() {
    let secret = Secret::new(SECRET);
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (secret.path().join("tls.crt"), secret.path().join("tls.key"));
    std::fs::write(&certificate, own.cert.pem()).unwrap();
    std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
    let server = S3Server::start_tls(SECRET, &certificate, &key).unwrap();
    let encrypted = ObjectStoreOptions {
        endpoint: Some(format!("https://{}", server.address)),
        allow_http: false,
        certificates: Some(certificate.clone()),
        ..options(server.address, secret.path())
    };
    let tier = open(encrypted.clone());
    tier.put(&record("a.ts", 1, b"bytes"), &["bytes".into()]).await.unwrap();
    assert!(tier.find("a.ts").await.unwrap().is_some());

    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&certificate, other.cert.pem()).unwrap();
    let (kind, text) = failures(&open(encrypted)).await;
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(text.to_lowercase().contains("certificate"), "{text}");
}
