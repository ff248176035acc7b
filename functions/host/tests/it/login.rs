//! A server that nobody verified gets no password, whatever it asks for; one that asks as it should is spoken to.

use std::sync::Arc;
use std::time::Duration;

use catalog::{Fault, Side};
use host::postgres::{Address, Session, connect};
use local::READER;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sqlx::{ConnectOptions as _, Row as _};
use testbed::Testbed;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const SESSION: Session<'_> =
    Session { application: "test", lock_timeout: Duration::from_secs(1), deadline: Duration::from_secs(30) };
/// The server's questions, as Postgres sends them: the password in clear; all is well.
const CLEARTEXT: &[u8] = &[b'R', 0, 0, 0, 8, 0, 0, 0, 3];
const WELL: &[u8] = &[b'R', 0, 0, 0, 8, 0, 0, 0, 0];

/// Talks as a server that took another's place: what it is sent after its question.
async fn ask(mut driver: impl AsyncRead + AsyncWrite + Unpin, questions: &'static [u8]) -> Vec<u8> {
    let length = driver.read_u32().await.expect("it says hello");
    let mut hello = vec![0; length as usize - 4];
    driver.read_exact(&mut hello).await.expect("it says hello");
    driver.write_all(questions).await.expect("it listens");
    let mut said = Vec::new();
    // It may hang up in the middle.
    let _ = driver.read_to_end(&mut said).await;
    said
}

async fn refuses_encryption(driver: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &[u8]) {
    let mut request = [0; 8];
    driver.read_exact(&mut request).await.expect("it asks for encryption");
    driver.write_all(answer).await.expect("it listens");
}

/// A server on loopback, and what it will have heard.
async fn impostor(questions: &'static [u8], acceptor: Option<TlsAcceptor>) -> (u16, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let heard = tokio::spawn(async move {
        let (mut driver, _) = listener.accept().await.expect("somebody comes");
        match acceptor {
            None => {
                refuses_encryption(&mut driver, b"N").await;
                ask(driver, questions).await
            }
            Some(acceptor) => {
                refuses_encryption(&mut driver, b"S").await;
                ask(acceptor.accept(driver).await.expect("it takes any certificate"), questions).await
            }
        }
    });
    (port, heard)
}

fn certified() -> TlsAcceptor {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["somebody.example".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate").der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key).expect("they fit");
    TlsAcceptor::from(Arc::new(config))
}

async fn assert_keeps_the_password(url: &str, heard: JoinHandle<Vec<u8>>) {
    let address = Address::of_url(url).expect("a URL");
    let error = connect(Side::Source, address, &SESSION).await.expect_err("it is not the server");
    assert_eq!(error.fault(), Fault::SourceAccessDenied, "{}", error.report());
    assert!(error.report().contains("asks for the password in clear"), "{}", error.report());
    let heard = String::from_utf8_lossy(&heard.await.expect("it hears to the end")).into_owned();
    assert!(!heard.contains("hunter2"), "{heard:?}");
}

#[tokio::test]
async fn a_server_that_asks_for_the_password_in_clear_is_not_told() {
    for questions in [CLEARTEXT, &[WELL, CLEARTEXT].concat().leak()[..]] {
        let (port, heard) = impostor(questions, None).await;
        assert_keeps_the_password(&format!("postgres://me:hunter2@127.0.0.1:{port}/d"), heard).await;
        // Encrypted, but to whom?
        let (port, heard) = impostor(questions, Some(certified())).await;
        assert_keeps_the_password(&format!("postgres://me:hunter2@127.0.0.1:{port}/d?sslmode=require"), heard).await;
    }
}

#[tokio::test]
async fn a_socket_where_anybody_may_make_one_is_not_told_either() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("it is ours");
    let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).expect("a socket");
    let heard = tokio::spawn(async move {
        let (mut driver, _) = listener.accept().await.expect("somebody comes");
        refuses_encryption(&mut driver, b"N").await;
        ask(driver, CLEARTEXT).await
    });
    let url = format!("postgres://me:hunter2@localhost/d?host={}", folder.path().display());
    assert_keeps_the_password(&url, heard).await;
}

#[tokio::test]
async fn a_server_without_encryption_is_refused_where_it_is_wanted() {
    let (port, heard) = impostor(CLEARTEXT, None).await;
    let url = format!("postgres://me:hunter2@127.0.0.1:{port}/d?sslmode=require");
    let error = connect(Side::Source, Address::of_url(&url).expect("a URL"), &SESSION).await.expect_err("no TLS");
    assert!(error.report().contains("server does not support TLS"), "{}", error.report());
    heard.abort();
}

#[tokio::test]
async fn a_server_that_asks_as_it_should_is_read_through_the_guard() {
    let bed = Testbed::new(crate::CATALOGUE).await;
    let url = bed.options(READER, Side::Source).await.to_url_lossy();
    let address = Address::of_url(url.as_str()).expect("a URL");
    let mut source = connect(Side::Source, address, &SESSION).await.expect("it logs in");
    // More than is passed on at once, both ways.
    let long = "x".repeat(1_000_000);
    let row = sqlx::query("SELECT $1 || $1 AS twice").bind(&long).fetch_one(&mut source).await.expect("it answers");
    assert_eq!(row.get::<String, _>("twice").len(), 2_000_000);
    drop(source);
    bed.end().await;
}

#[tokio::test]
async fn a_session_finds_the_server_s_own_names_alone() {
    let bed = Testbed::new(crate::CATALOGUE).await;
    let url = bed.options(READER, Side::Source).await.to_url_lossy();
    let mut source =
        connect(Side::Source, Address::of_url(url.as_str()).expect("a URL"), &SESSION).await.expect("it logs in");
    for (setting, value) in [
        ("search_path", "pg_catalog, pg_temp"),
        ("row_security", "off"),
        ("client_min_messages", "error"),
        ("timezone", "UTC"),
        ("datestyle", "ISO, MDY"),
        ("default_transaction_read_only", "on"),
    ] {
        let query = sqlx::query_scalar("SELECT current_setting($1)").bind(setting);
        let found: String = query.fetch_one(&mut source).await.expect("it answers");
        assert_eq!(found, value, "{setting}");
    }
    drop(source);
    bed.end().await;
}
