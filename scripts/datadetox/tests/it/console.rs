//! The console as the program opens it: beside a stack that runs, and by that stack itself.

use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::shell::Shell;

/// What is answered to a browser that asks for a page.
async fn page(url: &str, target: &str) -> String {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut connection = TcpStream::connect(host).await.expect("the console listens");
    let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.expect("it is read");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("it answers");
    answer
}

#[tokio::test]
async fn the_runs_of_a_stack_are_in_a_browser_with_the_first_command() {
    let shell = Shell::new(|text| text).await;
    let none = shell.call(&["console"]).await;
    assert!(none.code == Some(1) && none.err.contains("no stack runs in .datadetox"), "{none:?}");

    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let mut serving = shell.serve(&["--orders", "60", "--port", &port.to_string()]).await;
    let own = page(&format!("http://127.0.0.1:{port}/"), "/runs").await;
    assert!(own.starts_with("HTTP/1.1 200") && own.contains("Start a run"), "{own}");
    let taken = shell.call(&["console", "--port", &port.to_string()]).await;
    assert!(taken.code == Some(1) && taken.err.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{taken:?}");

    let mut beside = shell
        .command(&["console", "--read-only"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(beside.stdout.take().expect("its output")).lines();
    let url = lines.next_line().await.expect("text").expect("its address");
    let runs = page(&url, "/runs").await;
    assert!(runs.contains("read only") && !runs.contains("Start a run"), "{runs}");
    let run = shell.call(&["runs", "--json", "--limit", "1"]).await.json();
    let name = run["name"].as_str().expect("a name");
    assert!(runs.contains(name), "{runs}");
    let told = page(&url, &format!("/runs/{name}?tab=graph&step=Load")).await;
    for shown in ["Succeeded", "Extract sales_order", "class=\"graph\"", "fact_sales_order", "datadetox show"] {
        assert!(told.contains(shown), "{shown}: {told}");
    }
    beside.kill().await.expect("it runs");
    serving.signal(Signal::INT);
    assert_eq!(serving.ended().await, Some(0));
}
