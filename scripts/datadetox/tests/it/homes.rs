//! Commands that meet in one home.

use std::process::Stdio;

use futures_util::future::join_all;

use crate::shell::Shell;

#[tokio::test]
async fn runs_at_once_in_one_home_are_done_one_after_the_other_and_looks_do_not_disturb_each_other() {
    let shell = Shell::new(|text| text).await;
    let run = || shell.call(&["run", "--orders", "60"]);
    let (one, two) = tokio::join!(run(), run());
    assert_eq!((one.code, two.code), (Some(0), Some(0)), "{one:?} {two:?}");
    let idle = [&one, &two].into_iter().filter(|run| run.out == "up to date\n").count();
    assert_eq!(idle, 1, "one loads, the other finds it done: {one:?} {two:?}");
    let looks =
        join_all([&["runs"][..], &["show"], &["runs", "--json"], &["run"]].map(|words| shell.call(words))).await;
    assert!(looks.iter().all(|look| look.code == Some(0)), "{looks:?}");
}

#[tokio::test]
async fn a_run_whose_news_nobody_reads_is_done_all_the_same() {
    let shell = Shell::new(|text| text).await;
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut run = shell.command(&["run", "--orders", "60"]);
    let status = run.stdout(Stdio::null()).stderr(writer).status().await.expect("the program starts");
    assert_eq!(status.code(), Some(0));
    assert_eq!(shell.call(&["run"]).await.out, "up to date\n");
}

#[tokio::test]
async fn the_first_run_warns_of_nothing_and_keeps_to_the_width_of_a_terminal() {
    let long = "dim_design_whose_name_is_as_long_as_postgres_allows_a_name_to_be_";
    let shell = Shell::new(|text| text.replace("dim_design", &long[..63])).await;
    let run = shell.call(&["run", "--orders", "60"]).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(!run.err.contains("warning"), "{run:?}");
    let shown = shell.call(&["show"]).await;
    for line in [&run.out, &run.err, &shown.out].into_iter().flat_map(|text| text.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}
