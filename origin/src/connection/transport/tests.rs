//! The last words of a TLS connection.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use actix_web::rt::net::TcpStream;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::consume_budget;
use tokio_rustls::TlsConnector;

use super::*;
use crate::tls::tests::{Authority, Folder};
use crate::tls::{ClientCertificates, Tls};

/// Both ends of a connection: ours, and the client's.
async fn connection() -> (Transport, tokio_rustls::client::TlsStream<TcpStream>) {
    let authority = Authority::new();
    let folder = Folder::new(&authority);
    let tls = Tls::load(&folder.0, ClientCertificates::Ignored).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let connector = TlsConnector::from(Arc::new(authority.client(None, &[])));
    let name = ServerName::try_from("origin.test").unwrap();
    let (ours, theirs) =
        tokio::join!(Transport::accept(accepted, tls.served()), connector.connect(name, socket));
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
