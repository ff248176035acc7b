//! What somebody writes into a database does nothing to the terminal in which it is read.

use asl::Status;
use local::LOADER;
use sqlx::ConnectOptions as _;

use crate::shell::Shell;
use crate::world::World;

/// Clears the screen, sets its title, goes back to the beginning of the line, and turns the direction of writing.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;t\u{7}\r\u{9b}2J\u{202e}";

#[tokio::test]
async fn a_hostile_name_is_shown_and_not_obeyed() {
    let mut world = World::new().await;
    world.load().await;
    let column = format!("ALTER TABLE dim_staff ADD \"x{HOSTILE}\" integer NOT NULL DEFAULT 0");
    world.warehouse_does(&column).await;
    world.warehouse_does(&format!("ALTER TABLE dim_staff ALTER \"x{HOSTILE}\" DROP DEFAULT")).await;
    world.application("UPDATE staff SET first_name = first_name || 'x'").await;
    let run = world.run().await;
    assert_eq!(run.status, Status::Failed);

    let shell = Shell::new(|text| text).await;
    let home = world.path("home").display().to_string();
    let warehouse = world.stack.postgres.as_ref().expect("a private Postgres").options(LOADER).to_url_lossy();
    let mut said = vec![run.failure.1.clone(), world.logs()];
    said.extend(world.alerts());
    for words in [&["check", "--warehouse", warehouse.as_str()][..], &["show", &run.name, "--home", &home]] {
        let called = shell.call(words).await;
        said.push(called.out + &called.err);
    }
    for said in said {
        assert!(said.contains("\\u001b[2J"), "the column is not named: {said}");
        let obeyed = said.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(obeyed, None, "{said:?}");
    }
    world.stop().await;
}
