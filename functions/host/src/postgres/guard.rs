//! Stands between the driver and a server that is not verified: whoever took the place of the right one could ask for the
//! password in clear, and the driver would answer. Of what such a server says before the session is ready, that question is
//! not let through; the others are answered with proofs (SCRAM, MD5) from which the password cannot be read.
//!
//! The driver logs in through a socket in a folder of our own; what comes after the login is passed on as it is. A server
//! that is verified, and a socket that only root or ourselves can have made, are spoken to without it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, copy_buf, split};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsConnector;

use super::address::socket_of;

/// "May we encrypt?": length and code of the message (Postgres' manual, 54.7).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// The longest message of a login that makes sense.
const MAX_MESSAGE: u32 = 1 << 16;
/// How much is passed on at once.
const BUFFER: usize = 1 << 16;
/// The port in the name of our own socket.
const PORT: u16 = 5432;

/// How a server that is not verified is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// `sslmode=disable`.
    Plain,
    /// `sslmode=prefer`.
    EncryptedIfOffered,
    /// `sslmode=require`.
    Encrypted,
}

/// The client's own certificate and its key: PEM files.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// What is let through, and whether something was not.
pub(super) struct Guard {
    socket: PathBuf,
    /// Gone once the driver came in: a process that is killed afterwards leaves nothing.
    _folder: Arc<Mutex<Option<TempDir>>>,
    refused: Arc<OnceLock<&'static str>>,
}

const NO_TLS: &str = "server does not support TLS";
const CLEARTEXT: &str = "the server asks for the password in clear, and nothing shows that it is the right server: have it \
                         verified (sslmode=verify-full), or let it ask for scram-sha-256";
const STRANGE: &str = "what answers there does not speak as Postgres does";

impl Guard {
    /// Reaches the server, and waits for the driver.
    pub(super) async fn over(server: &PgConnectOptions, wire: Wire, identity: Option<Identity>) -> io::Result<Self> {
        let reached: Box<dyn Stream> = match socket_of(server) {
            Some(folder) => {
                Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{}", server.get_port()))).await?)
            }
            None => {
                let stream =
                    TcpStream::connect((server.get_host().trim_matches(['[', ']']), server.get_port())).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        };
        let (folder, listener) = listening(&std::env::temp_dir())?;
        let socket = folder.path().to_owned();
        let folder = Arc::new(Mutex::new(Some(folder)));
        let held = Arc::downgrade(&folder);
        let refused = Arc::new(OnceLock::new());
        let (host, why) = (server.get_host().to_owned(), Arc::clone(&refused));
        tokio::spawn(async move {
            let Ok((driver, _)) = listener.accept().await else { return };
            if let Some(folder) = held.upgrade() {
                drop(folder.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
            let passed = async {
                let server = encrypted(reached, wire, &host, identity).await?;
                pass(driver, server).await
            };
            // The driver sees that its connection ended.
            if let Err(Refused(Some(what))) = passed.await {
                let _ = why.set(what);
            }
        });
        Ok(Self { socket, _folder: folder, refused })
    }

    /// The way for the driver.
    pub(super) fn options(&self, server: &PgConnectOptions) -> PgConnectOptions {
        server.clone().socket(&self.socket).port(PORT)
    }

    /// What was not let through.
    pub(super) fn refused(&self) -> Option<sqlx::Error> {
        self.refused.get().map(|what| sqlx::Error::Tls((*what).into()))
    }
}

/// A socket in a new folder that only we may enter. The path of a socket is short: where the temporary folder is deep, or is
/// not there, the usual one will do.
fn listening(temporary: &Path) -> io::Result<(TempDir, UnixListener)> {
    listening_in(temporary).or_else(|_| listening_in(Path::new("/tmp")))
}

fn listening_in(within: &Path) -> io::Result<(TempDir, UnixListener)> {
    let folder = tempfile::Builder::new().prefix("pg").tempdir_in(within)?;
    let listener = UnixListener::bind(folder.path().join(format!(".s.PGSQL.{PORT}")))?;
    Ok((folder, listener))
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Why the connection is over; without words where it just ended.
struct Refused(Option<&'static str>);

impl From<io::Error> for Refused {
    fn from(_: io::Error) -> Self {
        Self(None)
    }
}

/// Asks for encryption as the wire wants it.
async fn encrypted(
    mut server: Box<dyn Stream>,
    wire: Wire,
    host: &str,
    identity: Option<Identity>,
) -> Result<Box<dyn Stream>, Refused> {
    if wire == Wire::Plain {
        return Ok(server);
    }
    server.write_all(&SSL_REQUEST).await?;
    match server.read_u8().await? {
        b'S' => {
            let config =
                unverifying(identity).map_err(|_| Refused(Some("the client's certificate or key cannot be used")))?;
            // No name is verified, so any will do where the host is none.
            let name = ServerName::try_from(host.to_owned()).or_else(|_| ServerName::try_from("localhost"));
            let name = name.map_err(|_| Refused(Some(STRANGE)))?;
            let encrypted = TlsConnector::from(Arc::new(config)).connect(name, server).await;
            Ok(Box::new(encrypted.map_err(|_| Refused(Some(STRANGE)))?))
        }
        b'N' if wire == Wire::EncryptedIfOffered => Ok(server),
        b'N' => Err(Refused(Some(NO_TLS))),
        _ => Err(Refused(Some(STRANGE))),
    }
}

/// Passes everything on, but for a question for the password in clear before the session is ready.
async fn pass(driver: UnixStream, server: Box<dyn Stream>) -> Result<(), Refused> {
    let (from_server, mut to_server) = split(server);
    let (from_driver, mut to_driver) = driver.into_split();
    let up = async {
        copy_buf(&mut BufReader::with_capacity(BUFFER, from_driver), &mut to_server).await?;
        to_server.shutdown().await.map_err(Refused::from)
    };
    let down = async {
        let mut from_server = BufReader::with_capacity(BUFFER, from_server);
        // The driver answers the question after a login that succeeded, too, until the session is ready.
        loop {
            let kind = from_server.read_u8().await?;
            let length = from_server.read_u32().await?;
            if !(4..=MAX_MESSAGE).contains(&length) {
                return Err(Refused(Some(STRANGE)));
            }
            let mut body = vec![0; length as usize - 4];
            from_server.read_exact(&mut body).await?;
            // AuthenticationCleartextPassword.
            if kind == b'R' && body.starts_with(&[0, 0, 0, 3]) {
                return Err(Refused(Some(CLEARTEXT)));
            }
            // A notice before the session is ready has nobody's words that count, and the driver would log them.
            if kind == b'N' {
                continue;
            }
            to_driver.write_all(&[&[kind][..], &length.to_be_bytes(), &body].concat()).await?;
            // ReadyForQuery.
            if kind == b'Z' {
                break;
            }
        }
        copy_buf(&mut from_server, &mut to_driver).await?;
        to_driver.shutdown().await.map_err(Refused::from)
    };
    tokio::try_join!(up, down).map(|_| ())
}

/// Encryption alone: whoever answers will do.
fn unverifying(identity: Option<Identity>) -> Result<ClientConfig, Box<dyn std::error::Error>> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    let Some(Identity { certificate, key }) = identity else { return Ok(config.with_no_client_auth()) };
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    Ok(config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key)?)?)
}

/// Takes every certificate whose key the server has.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn where_the_temporary_folder_is_deep_or_missing_the_socket_lies_in_the_usual_one() {
        let temporary = tempfile::tempdir().unwrap();
        let (within, _listener) = listening(temporary.path()).unwrap();
        assert_eq!(within.path().parent(), Some(temporary.path()));
        let deep = temporary.path().join("d".repeat(100));
        std::fs::create_dir(&deep).unwrap();
        for unfit in [deep.as_path(), &temporary.path().join("missing")] {
            let (usual, _listener) = listening(unfit).unwrap();
            assert_eq!(usual.path().parent(), Some(Path::new("/tmp")), "{}", unfit.display());
        }
        assert_eq!(std::fs::read_dir(&deep).unwrap().count(), 0, "nothing is left of the attempt");
    }

    #[tokio::test]
    async fn the_folder_of_the_socket_is_gone_before_anything_is_said_through_it() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port);
        let guard = Guard::over(&options, Wire::Plain, None).await.unwrap();
        let mut driver = UnixStream::connect(guard.socket.join(format!(".s.PGSQL.{PORT}"))).await.unwrap();
        driver.write_u8(1).await.unwrap();
        let (mut heard, _) = server.accept().await.unwrap();
        assert_eq!(heard.read_u8().await.unwrap(), 1);
        assert!(!guard.socket.exists(), "a process that is killed now leaves a folder");
        // And where no driver comes.
        let alone = Guard::over(&options, Wire::Plain, None).await.unwrap();
        let socket = alone.socket.clone();
        drop(alone);
        assert!(!socket.exists());
    }

    #[tokio::test]
    async fn a_notice_before_the_session_is_ready_is_dropped_and_one_after_it_is_passed_on() {
        let notice = |text: &str| [b"N\0\0\0", &[4 + u8::try_from(text.len()).unwrap()][..], text.as_bytes()].concat();
        let (well, ready) = (b"R\0\0\0\x08\0\0\0\0", b"Z\0\0\0\x05I");
        let (mut driver, ours) = UnixStream::pair().unwrap();
        let (mut server, theirs) = UnixStream::pair().unwrap();
        let passing = tokio::spawn(async move { pass(ours, Box::new(theirs)).await.is_ok() });
        let said = [&notice("hunter2")[..], well, &notice("hunter2"), ready, &notice("later")].concat();
        server.write_all(&said).await.unwrap();
        server.shutdown().await.unwrap();
        driver.shutdown().await.unwrap();
        let mut heard = Vec::new();
        driver.read_to_end(&mut heard).await.unwrap();
        assert_eq!(heard, [&well[..], ready, &notice("later")].concat());
        assert!(passing.await.unwrap());
    }
}
