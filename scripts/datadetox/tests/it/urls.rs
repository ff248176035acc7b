//! Databases that are named by URL, as far as no database has to answer.

use crate::shell::Shell;

const OTHER: &str = "mysql://loader:hunter2@127.0.0.1/warehouse";
const REFUSED: &str =
    "'s URL, which begins with mysql://, is not a Postgres URL: write postgres://user:password@host:port/database";

#[tokio::test]
async fn what_stops_the_check_of_one_side_is_told_with_that_of_the_other() {
    let shell = Shell::new(|text| text).await;
    let words = ["check", "--source", "postgres://reader:hunter2@127.0.0.1:1/totesys", "--warehouse", OTHER];
    let called = shell.call(&words).await;
    assert_eq!((called.code, called.out.as_str()), (Some(1), ""), "{called:?}");
    let told: Vec<&str> = called.err.lines().collect();
    assert!(told[0].starts_with("error: cannot connect to the source at 127.0.0.1:1: "), "{called:?}");
    assert_eq!(told[1..], [format!("error: the warehouse{REFUSED}")]);
    let json = shell.call(&[&words[..], &["--json"]].concat()).await;
    assert_eq!((json.code, json.json()["mistakes"].as_array().map(Vec::len)), (Some(1), Some(2)), "{json:?}");
    for called in [called, json] {
        assert!(!format!("{called:?}").contains("hunter2"), "{called:?}");
    }
}

#[tokio::test]
async fn a_url_of_another_system_is_refused_by_name_before_there_is_a_home() {
    let shell = Shell::new(|text| text).await;
    for (words, side) in [
        (&["run", "--source", OTHER][..], "source"),
        (&["--warehouse", OTHER], "warehouse"),
        (&["seed", "--source", OTHER], "source"),
        (&["trade", "--source", OTHER], "source"),
    ] {
        let called = shell.call(words).await;
        assert_eq!((called.code, called.err), (Some(1), format!("error: the {side}{REFUSED}\n")), "{words:?}");
        assert!(!shell.folder.path().join(".datadetox").exists(), "{words:?} made a home");
    }
    for (url, hint) in [
        ("postgres://me:hun#hunter2@db.example/d", "in user and password %23 for #, %2F for /, %3F for ?, %40 for @"),
        ("postgres://me:1/hunter2@db.example/d", "in user and password %23 for #, %2F for /, %3F for ?, %40 for @"),
        ("postgres://me:hunter2@db.example/d?sslmode=foo", "has an sslmode that is none: write sslmode=verify-full, "),
        ("postgres://me:hunter2@db.example/d?port=foo", "has a parameter port that is not understood"),
    ] {
        let called = shell.call(&["run", "--source", url]).await;
        assert!(called.code == Some(1) && called.err.contains(hint), "{called:?}");
        assert!(!called.err.contains("hunter2") && !called.err.contains("db.example"), "{called:?}");
    }
    let nonsense = shell.call(&["check", "--source", "hunter2"]).await;
    let expected = "error: the source's URL is not a Postgres URL: write postgres://user:password@host:port/database\n";
    assert_eq!((nonsense.code, nonsense.err.as_str()), (Some(1), expected));
}

#[tokio::test]
async fn an_empty_variable_is_not_taken_for_a_wish_for_a_private_database() {
    let shell = Shell::new(|text| text).await;
    for words in [&["run"][..], &["check"], &["seed"], &[]] {
        let mut command = shell.command(words);
        command.env("DATADETOX_SOURCE", "");
        let called = Shell::finish(command).await;
        let expected = "error: the source's URL is empty: unset DATADETOX_SOURCE, or write the URL of a database there or as \
                        --source\n";
        assert_eq!((called.code, called.err.as_str()), (Some(1), expected), "{words:?}");
        assert!(!shell.folder.path().join(".datadetox").exists(), "{words:?} made a home");
    }
}
