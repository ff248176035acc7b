//! What comes to the services' door from elsewhere than a client of ours: browsers, other users, whoever holds connections.

use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::raw::said;
use crate::world::{BUCKET, World};

/// Longer than a door waits for the end of a head.
const PATIENCE: Duration = Duration::from_secs(25);

#[tokio::test]
async fn a_page_of_another_site_reaches_nothing() {
    let world = World::new().await;
    let list = || world.states("ListStateMachines", "{}");
    assert_eq!(world.says(&list()).await, "200");
    assert_eq!(world.says(&list().with("host", "localhost:4711")).await, "200");
    // A name that an attacker's server of names leads here: the page takes itself for one of ours.
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example:1", "10.0.0.1"] {
        assert_eq!(world.says(&list().with("host", host)).await, "403", "{host}");
        assert_eq!(world.says(&world.s3("GET", "/", "").with("host", host)).await, "403", "{host}");
    }
    let own = format!("http://{}", world.address());
    for origin in ["http://evil.example", "null", &own] {
        assert_eq!(world.says(&list().with_unsigned("origin", origin)).await, "403", "{origin}");
        assert_eq!(world.says(&world.s3("GET", "/", "").with_unsigned("origin", origin)).await, "403", "{origin}");
    }
    // An image or a link sends no origin.
    for site in ["cross-site", "same-site", "none"] {
        assert_eq!(world.says(&list().with_unsigned("sec-fetch-site", site)).await, "403", "{site}");
    }
    world.stop().await;
}

/// The operator's secret is of no use to another user. (Where the tests run without the right to be another user, the room
/// of the door holds the same against a door that belongs to another.)
#[tokio::test]
async fn another_user_is_closed_the_door() {
    let world = World::new().await;
    let asks = world.s3("GET", "/", "").text();
    let (host, port) = world.address().split_once(':').expect("an address");
    let script = format!("exec 3<>/dev/tcp/{host}/{port} && printf %s \"$0\" >&3 && timeout 10 cat <&3");
    let answers = async |uid: Option<u32>| {
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &script, &asks]);
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        let output = tokio::process::Command::from(command).output().await;
        said(&String::from_utf8_lossy(&output.expect("bash runs").stdout))
    };
    assert_eq!(answers(None).await, "200", "our own user");
    if rustix::process::geteuid().is_root() {
        assert_eq!(answers(Some(65_534)).await, "closed", "another user");
    }
    world.stop().await;
}

/// Waits until the other end closes a connection; nothing may be answered before but what refuses.
async fn is_closed(connection: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "it is held");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn half_sent_requests_are_not_held() {
    let world = World::new().await;
    let open = async |bytes: &str| {
        let mut connection = TcpStream::connect(world.address()).await.expect("the services listen");
        connection.write_all(bytes.as_bytes()).await.expect("it is written");
        connection
    };
    let head = open("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n").await;
    let silence = open("").await;
    let json = world.states("ListStateMachines", "{\"maxResults\":1}").text();
    let object = world.s3("PUT", &format!("/{BUCKET}/staff/half"), "0123456789").text();
    let mut bodies = vec![open(&json[..json.len() - 1]).await, open(&object[..object.len() - 1]).await];
    let mut all = vec![head, silence];
    all.append(&mut bodies);
    futures_util::future::join_all(all.iter_mut().map(is_closed)).await;
    world.stop().await;
}

#[tokio::test]
async fn no_number_of_connections_keeps_the_next_one_out() {
    let world = World::new().await;
    let mut held = Vec::new();
    for _ in 0..600 {
        let mut connection = TcpStream::connect(world.address()).await.expect("the services listen");
        connection.write_all(b"GET / HTTP/1.1\r\n").await.expect("it is written");
        held.push(connection);
    }
    let list = world.states("ListStateMachines", "{}");
    let answered = tokio::time::timeout(Duration::from_secs(5), world.says(&list));
    assert_eq!(answered.await.expect("it is answered at once"), "200");
    // The first ones gave way, long before they would have been too slow.
    let gone = async { is_closed(&mut held[0]).await };
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("it gave way");
    world.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let world = World::new().await;
    let announce = |text: String, length: u64| {
        let head = text.split_once("\r\n\r\n").expect("a head").0.to_owned();
        head.replace("content-length: 0", &format!("content-length: {length}")) + "\r\n\r\n"
    };
    let json = announce(world.states("ListStateMachines", "").text(), 2 << 20);
    assert_eq!(said(&world.send(json.as_bytes()).await), "413 RequestEntityTooLargeException");
    let object = world.s3("PUT", &format!("/{BUCKET}/staff/large"), "");
    let object = announce(object.with("if-none-match", "*").text(), 1 << 30);
    assert_eq!(said(&world.send(object.as_bytes()).await), "400 EntityTooLarge");
    // One that does not say how long it is.
    let chunked =
        world.states("ListStateMachines", "").text().replace("content-length: 0", "transfer-encoding: chunked");
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
    let chunked = world.send(format!("{chunked}{chunk}{chunk}{chunk}0\r\n\r\n").as_bytes()).await;
    assert_eq!(said(&chunked), "413 RequestEntityTooLargeException");
    world.stop().await;
}

#[tokio::test]
async fn json_that_nests_too_deep_is_refused() {
    let world = World::new().await;
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let machine = world.state_machine().await;
    let start = |input: String| {
        let name = format!("deep-{}", input.len());
        let body = serde_json::json!({ "stateMachineArn": machine, "name": name, "input": input });
        world.states("StartExecution", &body.to_string())
    };
    for levels in [65, 125, 127, 100_000] {
        assert_eq!(world.says(&start(nested(levels))).await, "400 InvalidExecutionInput", "{levels}");
        let around = format!("{{\"a\":{}}}", nested(levels));
        assert_eq!(
            world.says(&world.states("ListStateMachines", &around)).await,
            "400 SerializationException",
            "{levels}"
        );
    }
    assert_eq!(world.says(&start(nested(64))).await, "200");
    world.stop().await;
}

#[tokio::test]
async fn a_key_that_cannot_be_is_a_mistake_of_whoever_asks() {
    let world = World::new().await;
    for key in ["a/../b", "a//b", "a/./b", "a%5Cb", &"k".repeat(300)] {
        let target = format!("/{BUCKET}/{key}");
        assert_eq!(world.says(&world.s3("GET", &target, "")).await, "400 InvalidArgument", "{key}");
        assert_eq!(world.says(&world.s3("HEAD", &target, "")).await, "400", "{key}");
    }
    world.stop().await;
}
