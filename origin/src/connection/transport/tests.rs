//! The last words of a TLS connection.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use actix_web::rt::net::TcpStream;
use arc_swap::ArcSwap;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::consume_budget;
use tokio_rustls::TlsConnector;

use super::*;

/// Both ends of a connection: ours, and the client's.
async fn connection() -> (Transport, tokio_rustls::client::TlsStream<TcpStream>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["origin.test".to_owned()]).unwrap();
    let provider = Arc::new(ring::default_provider());
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let config: TlsConfig = Arc::new(ArcSwap::from_pointee(server));
    let connector = TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from("origin.test").unwrap();
    let (ours, theirs) = tokio::join!(Transport::accept(accepted, &config), connector.connect(name, socket));
    (ours.unwrap(), theirs.unwrap())
}

#[actix_web::test]
async fn the_last_words_are_said_at_the_end_of_a_tasks_turn_too() {
    let (ours, mut theirs) = connection().await;
    poll_fn(|context| {
        while pin!(consume_budget()).poll(context).is_ready() {}
        ours.end_writing();
        Poll::Ready(())
    })
    .await;
    // Without them this is an error: a client cannot know whether that was all.
    assert_eq!(theirs.read(&mut [0; 16]).await.unwrap(), 0);
}
