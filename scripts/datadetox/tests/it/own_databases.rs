//! Databases of one's own, on the command line: checked, and loaded by URL.

use sqlx::ConnectOptions as _;
use tokio::process::Command;

use crate::shell::Shell;
use crate::world::{World, execute};

#[tokio::test]
async fn real_databases_are_checked_and_loaded_by_url_with_the_password_from_the_environment() {
    let mut world = World::new().await;
    let postgres = world.stack.postgres.as_ref().expect("a private Postgres");
    let place = postgres.socket().display();
    let url = |role: &str, database: &str| format!("postgres://{role}@localhost/{database}?host={place}");
    let options = postgres.superuser_options("postgres");
    let mut server = options.connect().await.expect("the server answers");
    // One password for both roles, as PGPASSWORD has one.
    execute(&mut server, "ALTER ROLE reader PASSWORD 'p w/?#'; ALTER ROLE loader PASSWORD 'p w/?#'").await;
    let (source, warehouse) = (url("reader", "totesys"), url("loader", "warehouse"));
    let shell = Shell::new(|text| text).await;
    let call = async |words: &[&str]| {
        let mut command = shell.command(words);
        command.env("PGPASSWORD", "p w/?#").args(["--source", &source, "--warehouse", &warehouse]);
        Shell::finish(command).await
    };
    let right = call(&["check"]).await;
    assert_eq!(right.code, Some(0), "{right:?}");
    assert!(right.out.contains("is right: 11 source tables, 8 dimensions, 3 facts"), "{}", right.out);
    let run = call(&["run", "--json"]).await;
    assert_eq!(run.json()["targets"]["fact_payment"]["added"], 300, "{run:?}");
    let mut owner = postgres.superuser_options("warehouse").connect().await.expect("the server answers");
    let theirs = "CREATE FUNCTION public.fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; ALTER FUNCTION public.fired() OWNER TO reader;
                  CREATE TRIGGER fires BEFORE INSERT ON public.dim_design FOR EACH ROW EXECUTE FUNCTION public.fired()";
    execute(&mut owner, theirs).await;
    let strange = call(&["check"]).await;
    let told = "trigger fires on public.dim_design uses function public.fired(), which belongs to reader and would run with the rights of loader: \
                DROP TRIGGER fires ON public.dim_design; or, if it is wanted, ALTER ROUTINE public.fired() OWNER TO loader\n";
    assert!(strange.code == Some(1) && strange.out == told, "{strange:?}");
    execute(&mut owner, "DROP TRIGGER fires ON public.dim_design").await;
    assert!(!shell.folder.path().join(".datadetox/postgres").exists(), "it needs no Postgres of its own");
    world.assert_same_as_source().await;

    // Nobody who leaves them out has private ones in their place.
    for words in [&["run"][..], &[]] {
        let silent = shell.call(words).await;
        assert!(
            silent.code == Some(1) && silent.err.contains("the source in .datadetox was postgres://"),
            "{silent:?}"
        );
        let ways = ["name it again with --source or DATADETOX_SOURCE", "a home of their own with --home FOLDER"];
        assert!(ways.iter().all(|way| silent.err.contains(way)), "{silent:?}");
        assert!(!shell.folder.path().join(".datadetox/postgres").exists());
    }

    // The command that is printed goes on with the databases of the run, and refuses others.
    world.application("REVOKE SELECT ON staff FROM reader; UPDATE staff SET first_name = 'X'").await;
    let lacking = call(&["check"]).await;
    let grant = "the role reader may not read staff: GRANT SELECT ON \"public\".\"staff\" TO \"reader\"\n";
    assert!(lacking.code == Some(1) && lacking.out == grant, "{lacking:?}");
    let failed = call(&["run"]).await;
    let printed = failed.err.lines().find_map(|line| line.strip_prefix("after the repair: datadetox "));
    let printed: Vec<&str> = printed.unwrap_or_else(|| panic!("{failed:?}")).split(' ').collect();
    world.application("GRANT SELECT ON staff TO reader").await;
    let other = shell.call(&[&printed[..], &["--source", "postgres://reader@127.0.0.1:1/other"]].concat()).await;
    assert!(other.code == Some(1) && other.err.contains("leave --source out"), "{other:?}");
    // The place that it names is one that psql understands.
    let before = other.err.split("the source was ").nth(1).and_then(|told| told.split(", not ").next());
    let mut psql = Command::new("psql");
    psql.env("PGPASSWORD", "p w/?#").args(["-XAtc", "SELECT current_user, current_database()"]);
    let psql = psql.arg(before.unwrap_or_else(|| panic!("{other:?}"))).output().await.expect("psql");
    assert_eq!(String::from_utf8_lossy(&psql.stdout), "reader|totesys\n", "{psql:?}");
    let mut redrive = shell.command(&printed);
    // How the server is spoken to may be corrected.
    redrive.env("PGPASSWORD", "p w/?#").args(["--source", &format!("{source}&sslmode=disable")]);
    let redriven = Shell::finish(redrive).await;
    assert_eq!(redriven.code, Some(0), "{redriven:?}");
    world.assert_same_as_source().await;

    world.application("ALTER TABLE sales_order RENAME units_sold TO units").await;
    world.warehouse_does("ALTER TABLE dim_design ALTER design_id TYPE bigint").await;
    let wrong = call(&["check"]).await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(wrong.out.contains("sales_order.units_sold does not exist"), "{}", wrong.out);
    assert!(wrong.out.contains("dim_design.design_id is bigint where the catalogue says integer"), "{}", wrong.out);
    let nowhere = source.replace("/totesys", "/nowhere");
    let mut both = shell.command(&["check", "--source", &nowhere, "--warehouse", &warehouse]);
    both.env("PGPASSWORD", "p w/?#");
    let both = Shell::finish(both).await;
    assert!(both.code == Some(1) && both.err.contains("database \"nowhere\" does not exist"), "{both:?}");
    assert!(both.out.starts_with("dim_design.design_id is bigint"), "the other side is checked all the same: {both:?}");
    world.warehouse_does("UPDATE etl.target SET pipeline = 'another' WHERE target = 'dim_design'").await;
    let taken = call(&["check"]).await;
    assert!(taken.code == Some(1) && taken.err.contains("dim_design belongs to the pipeline another"), "{taken:?}");
    world.warehouse_does("ALTER SCHEMA etl RENAME TO older").await;
    let older = call(&["check"]).await;
    assert!(older.code == Some(1) && older.out.contains("ALTER SCHEMA \"older\" RENAME TO \"etl\""), "{older:?}");
    let mut denied = shell.command(&["check", "--source", &source]);
    denied.env("PGPASSWORD", "another");
    let denied = Shell::finish(denied).await;
    assert!(denied.code == Some(1) && denied.err.contains("cannot connect to the source"), "{denied:?}");
    assert_eq!(denied.err.matches("password authentication failed").count(), 1, "{denied:?}");
    assert!(denied.err.contains("correct the secret") && !denied.err.contains("redrive"), "nothing runs: {denied:?}");
    let mut none = shell.command(&["check", "--source", &source]);
    none.env_remove("PGPASSWORD").env_remove("PGPASSFILE").env("HOME", shell.folder.path());
    let none = Shell::finish(none).await;
    assert!(none.code == Some(1) && none.err.starts_with("error: no password was given: cannot connect"), "{none:?}");
    assert!(none.err.contains("PGPASSWORD or ~/.pgpass)"), "{none:?}");
    let nonsense = shell.call(&["check", "--source", "postgres://me:hunter2@[host/db"]).await;
    assert!(nonsense.code == Some(1) && !nonsense.err.contains("hunter2"), "{nonsense:?}");
    world.stop().await;
}
