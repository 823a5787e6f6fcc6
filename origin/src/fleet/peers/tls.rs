//! TLS between the pods of one fleet, without certificates: they have a password in common, and so a key pair that is made of it (raw
//! public keys, RFC 7250). Whoever shows that key knows the password; nothing has to be issued, renewed or mounted.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, ServerConfig,
    SignatureScheme,
};

use super::Keys;
use crate::digest::Digest;

/// An Ed25519 key in PKCS #8 (RFC 8410 §7) up to its 32 bytes.
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The key pair of a fleet, as a server shows it.
pub(super) fn pair(password: &[u8], scope: &str) -> Result<Arc<CertifiedKey>, Error> {
    let seed = Digest::keyed(password, format!("mediaorigin peer tls {scope}").as_bytes());
    let key = [&PKCS8[..], seed.bytes()].concat();
    let key = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(key))?;
    let public = key.public_key().ok_or(Error::InconsistentKeys(rustls::InconsistentKeys::Unknown))?;
    let shown = CertificateDer::from(public.to_vec());
    Ok(Arc::new(CertifiedKey::new(vec![shown], key)))
}

/// Of a server that shows the key of `keys`, once it is known; until then it accepts nobody.
pub(super) fn server(keys: Arc<OnceLock<Keys>>) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(&[&TLS13])?.with_no_client_auth();
    Ok(builder.with_cert_resolver(Arc::new(Shown(keys))))
}

/// Of a client that asks only who shows the key of `keys`.
pub(super) fn client(keys: &Keys) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let shown = keys.pair.end_entity_cert()?.clone().into_owned();
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
    let builder =
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Expected { shown, algorithms }));
    Ok(builder.with_no_client_auth())
}

struct Shown(Arc<OnceLock<Keys>>);

impl fmt::Debug for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Shown(…)")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.get().map(|keys| Arc::clone(&keys.pair))
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }
}

/// The public key that the other side must show, and prove to have the private one of.
#[derive(Debug)]
struct Expected {
    shown: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Expected {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *shown == self.shown {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::UnknownIssuer.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(shown.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
