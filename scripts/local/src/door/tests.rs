//! Attacks on a door with a service behind it that counts what it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// Far less than an answer takes, far more than the rules give.
const PATIENCE: Duration = Duration::from_secs(20);
const QUICK: Duration = Duration::from_millis(200);

fn ours() -> u32 {
    rustix::process::geteuid().as_raw()
}

struct Site {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _open: Open,
}

fn rules(connections: usize, has_pages: bool) -> Rules {
    Rules {
        connections,
        head_time: QUICK,
        body_time: QUICK,
        has_pages,
        credentials: Credentials::default(),
        terms: |_| Ok(Terms { protocol: Protocol::Plain, signed_for: None, max_body: 16 }),
    }
}

async fn site(uid: u32, rules: Rules) -> Site {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = async |State(asked): State<Arc<AtomicUsize>>| {
        asked.fetch_add(1, Ordering::Relaxed);
        "done"
    };
    let read = async |body: Body| match whole(body).await {
        Ok(body) => format!("read {}", body.len()),
        Err(broken) => format!("broken {broken:?}"),
    };
    let hang = async || std::future::pending::<()>().await;
    let routes = Router::new().route("/", get(count)).route("/read", post(read)).route("/hang", get(hang));
    let door = Door::of(uid, 0).await.unwrap();
    let address = door.address();
    let open = door.open(rules, routes.with_state(Arc::clone(&asked)));
    Site { address, asked, _open: open }
}

impl Site {
    async fn connect(&self, bytes: &str) -> TcpStream {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(bytes.as_bytes()).await.unwrap();
        connection
    }

    async fn ask(&self, bytes: &str) -> String {
        rest(self.connect(bytes).await).await
    }
}

/// What comes until the other end closes.
async fn rest(mut connection: TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection may be reset instead of closed.
    let _ = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut answer)).await.expect("it is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_door_of_another_user_is_closed_before_a_byte_is_read() {
    let ours = ours();
    let his = site(ours + 1, rules(8, false)).await;
    if cfg!(target_os = "linux") {
        let mut connection = TcpStream::connect(his.address).await.unwrap();
        let closed = tokio::time::timeout(PATIENCE, connection.read(&mut [0])).await.expect("nothing has to be said");
        assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
        assert_eq!(his.asked.load(Ordering::Relaxed), 0);
    }
    let site = site(ours, rules(8, false)).await;
    assert!(site.ask(GET).await.ends_with("done"));
    assert_eq!(site.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn pages_of_its_own_may_ask_a_service_that_has_some() {
    let page = GET.replace("\r\n\r\n", "\r\norigin: http://localhost\r\nsec-fetch-site: same-origin\r\n\r\n");
    let ours = ours();
    assert!(site(ours, rules(8, true)).await.ask(&page).await.ends_with("done"));
    let without = site(ours, rules(8, false)).await;
    assert!(without.ask(&page).await.starts_with("HTTP/1.1 403 "));
    assert_eq!(without.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn heads_have_their_time_and_an_answer_has_not() {
    let site = site(ours(), rules(8, false)).await;
    let hanging = site.connect(&GET.replace("GET /", "GET /hang")).await;
    for slow in ["", "GET / HTTP/1.1\r\nhost: loc", &GET.replace("close", "keep-alive")] {
        rest(site.connect(slow).await).await;
    }
    let (mut reader, _writer) = hanging.into_split();
    let open = tokio::time::timeout(QUICK * 3, reader.read(&mut [0])).await;
    assert!(open.is_err(), "it waits for its answer: {open:?}");
}

#[tokio::test]
async fn bodies_have_their_size_and_their_time() {
    let site = site(ours(), rules(8, false)).await;
    let post = |length: &str, body: &str| {
        format!("POST /read HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{length}\r\n\r\n{body}")
    };
    assert!(site.ask(&post("content-length: 16", "0123456789abcdef")).await.ends_with("read 16"));
    // Refused by what it says of itself, and by what comes.
    assert!(site.ask(&post("content-length: 17", "")).await.ends_with("broken TooLarge"));
    let chunked = post("transfer-encoding: chunked", "a\r\n0123456789\r\na\r\n0123456789\r\n");
    assert!(site.ask(&chunked).await.contains("broken TooLarge"));
    assert!(site.ask(&post("content-length: 16", "0123")).await.ends_with("broken TooSlow"));
}

#[tokio::test]
async fn who_waits_gives_way_and_who_works_does_not() {
    // Long enough that nobody is too slow.
    let patient = Rules { head_time: PATIENCE * 2, ..rules(3, false) };
    let site = site(ours(), patient).await;
    let working = site.connect(&GET.replace("GET /", "GET /hang")).await;
    let first = site.connect("GET").await;
    let mut later = Vec::new();
    for _ in 0..20 {
        later.push(site.connect("GET").await);
    }
    assert!(site.ask(GET).await.ends_with("done"));
    assert_eq!(rest(first).await, "");
    let (mut reader, _writer) = working.into_split();
    assert!(tokio::time::timeout(QUICK, reader.read(&mut [0])).await.is_err(), "it keeps its place");
}

#[tokio::test]
async fn a_place_that_is_left_is_the_next_one_s() {
    let site = site(ours(), rules(2, false)).await;
    let hang = GET.replace("GET /", "GET /hang");
    let both = [site.connect(&hang).await, site.connect(&hang).await];
    let third = site.connect(GET).await;
    drop(both);
    assert!(rest(third).await.ends_with("done"));
}
