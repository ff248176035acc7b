//! No row leaves: marked values go through every failure, and nothing that leaves the databases and the lake has them.

use std::path::Path;

use asl::Status;
use serde_json::Value;

use crate::shell::Shell;
use crate::world::{Run, World};

/// A text that stands in rows alone.
const MARK: &str = "m4rker";
/// A number that does.
const NUMBER: &str = "7351.9182";

/// Keys that are texts, and a column for every way to be refused.
const CATALOGUE: &str = "
[pipeline]
name = 'kept'
[warehouse]
reject_limit = 1
[source.tables.place]
key = 'code'
capture = 'snapshot'
columns = { code = 'text', city = 'text' }
[source.tables.seen]
key = 'code'
capture = 'snapshot'
columns = { code = 'text', what = 'text null' }
[source.tables.thing]
key = 'code'
capture = 'changes'
[source.tables.thing.columns]
code = 'text'
price = 'numeric(12,4)'
mood = 'text'
place = 'text null'
born = 'text null'
note = 'text null'
doc = 'json null'
money = 'text null'
[dimensions.dim_place]
from = 'place'
columns = { code = 'code', city = 'city' }
[dimensions.dim_seen]
from = 'seen'
columns = { code = 'code', what = 'what' }
[facts.fact_thing]
from = 'thing'
surrogate_key = 'version'
[facts.fact_thing.columns]
code = 'code'
price = 'price'
mood = 'mood'
place = { from = 'place', references = 'dim_place' }
born = { text_to_date = 'born' }
note = { from = 'note', type = 'varchar(40)' }
doc = { from = 'doc', type = 'jsonb' }
money = { currency_name = 'money' }
";

/// What is read of a table of marks depends on `how`, which the view asks for: nothing, a notice, an error, a bad cast.
const SOURCE: &str = "
    CREATE TYPE mood AS ENUM ('m4rker label');
    CREATE TABLE place (code text PRIMARY KEY, city text NOT NULL);
    CREATE TABLE thing (code text PRIMARY KEY, price numeric(12,4) NOT NULL, mood mood NOT NULL DEFAULT 'm4rker label', place text, born text,
                        note text, doc json, money text);
    CREATE TABLE how (does text);
    CREATE TABLE base (code text, what text);
    CREATE FUNCTION marked(value text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE does text := (SELECT h.does FROM public.how AS h);
    BEGIN
        RAISE WARNING 'a warning with %', value;
        IF does = 'raise' THEN
            RAISE EXCEPTION 'an error with %', value USING DETAIL = value, HINT = value, CONSTRAINT = value;
        ELSIF does = 'disguise' THEN
            RAISE EXCEPTION 'an error with %', value USING ERRCODE = '57014';
        ELSIF does = 'cast' THEN
            RETURN value::integer;
        END IF;
        RETURN value;
    END $$;
    CREATE VIEW seen AS SELECT code, marked(what) AS what FROM base;
    GRANT SELECT ON how TO PUBLIC;
    INSERT INTO how VALUES ('nothing');
    INSERT INTO place VALUES ('m4rker town', 'm4rker city');
    INSERT INTO base VALUES ('m4rker seen', 'm4rker what');
    INSERT INTO thing (code, price, place, note, born, doc, money)
    SELECT 'm4rker ' || n, 7351.9182, 'm4rker town', 'm4rker note', '2024-01-01', '{\"a\": \"m4rker\"}', 'EUR' FROM generate_series(1, 9) AS n";

/// What is done to the databases, the phase that fails of it, what is told, and what undoes it.
struct Trouble {
    name: &'static str,
    source: &'static str,
    warehouse: &'static str,
    phase: &'static str,
    told: &'static [&'static str],
    undone: [&'static str; 2],
}

/// Every row of the fact comes again.
const TOUCHED: &str = "UPDATE thing SET note = 'm4rker ' || txid_current()";
/// No row of it is refused.
const MENDED: &str = "UPDATE thing SET born = NULL, note = 'm4rker', doc = NULL, money = NULL, place = NULL";

const SOURCES: [Trouble; 4] = [
    Trouble {
        name: "a function of a view raises",
        source: "UPDATE how SET does = 'raise'; UPDATE base SET what = 'm4rker 1'",
        warehouse: "",
        phase: "ExtractFailed",
        told: &[
            "cannot read seen: P0001 (raised exception), raised by a function of the database; the server's log has its words",
        ],
        undone: ["UPDATE how SET does = 'nothing'", ""],
    },
    Trouble {
        name: "it raises under a code of the server",
        source: "UPDATE how SET does = 'disguise'; UPDATE base SET what = 'm4rker 2'",
        warehouse: "",
        phase: "ExtractFailed",
        told: &["cannot read seen: 57014 (query canceled), raised by a function of the database"],
        undone: ["UPDATE how SET does = 'nothing'", ""],
    },
    Trouble {
        name: "it casts what is no number",
        source: "UPDATE how SET does = 'cast'; UPDATE base SET what = 'm4rker 3'",
        warehouse: "",
        phase: "ExtractFailed",
        told: &["cannot read seen: 22P02 (invalid text representation)"],
        undone: ["UPDATE how SET does = 'nothing'", ""],
    },
    Trouble {
        name: "a key that is a text stands twice",
        source: "INSERT INTO base VALUES ('m4rker seen', 'm4rker')",
        warehouse: "",
        phase: "LoadFailed",
        told: &[
            "the key (code) of dim_seen is not unique in its source: code (text)",
            "ask the source: SELECT \"code\" FROM \"public\".\"seen\" GROUP BY \"code\" HAVING count(*) > 1",
        ],
        undone: ["DELETE FROM base WHERE what = 'm4rker'", ""],
    },
];

const REJECTS: [Trouble; 3] = [
    Trouble {
        name: "values that nothing can be made of",
        source: "UPDATE thing SET born = 'm4rker day' WHERE code LIKE '%1'; UPDATE thing SET money = 'm4rker' WHERE code LIKE '%2';
                 UPDATE thing SET note = repeat('m4rker', 9) WHERE code LIKE '%3'",
        warehouse: "",
        phase: "TransformFailed",
        told: &["more than 1 rows of fact_thing cannot be taken, among them line ", ".csv: ", "reject_limit"],
        undone: [MENDED, ""],
    },
    Trouble {
        name: "a json that is no jsonb",
        source: "UPDATE thing SET doc = '[\"m4rker\\u0000\"]' WHERE code LIKE '%1' OR code LIKE '%2'",
        warehouse: "",
        phase: "TransformFailed",
        told: &[".csv: doc holds \\u0000, which jsonb does not"],
        undone: [MENDED, ""],
    },
    Trouble {
        name: "dimensions that are missing",
        source: "UPDATE thing SET place = 'm4rker nowhere' WHERE code LIKE '%1' OR code LIKE '%2'",
        warehouse: "",
        phase: "LoadFailed",
        told: &["2 rows of fact_thing cannot be taken, more than 1, among them code (text): place is not in dim_place"],
        undone: [MENDED, ""],
    },
];

const WAREHOUSE: [Trouble; 4] = [
    Trouble {
        name: "a check",
        source: TOUCHED,
        warehouse: "ALTER TABLE fact_thing ADD CONSTRAINT plain CHECK (note NOT LIKE 'm4rker%') NOT VALID",
        phase: "LoadFailed",
        told: &[
            "cannot merge fact_thing: 23514 (check violation), table public.fact_thing, constraint plain; the server's log",
        ],
        undone: ["", "ALTER TABLE fact_thing DROP CONSTRAINT plain"],
    },
    Trouble {
        name: "a unique index",
        source: TOUCHED,
        warehouse: "CREATE UNIQUE INDEX once ON fact_thing (note) WHERE note LIKE 'm4rker _%' AND note <> 'm4rker note'",
        phase: "LoadFailed",
        told: &["cannot merge fact_thing: 23505 (unique violation), table public.fact_thing, constraint once"],
        undone: ["", "DROP INDEX once"],
    },
    Trouble {
        name: "a trigger that raises",
        source: TOUCHED,
        warehouse: "CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS
                    $$BEGIN RAISE NOTICE 'a notice with %', NEW.note;
                            RAISE EXCEPTION 'an error with %', NEW USING ERRCODE = '42P01', TABLE = NEW.code; END$$;
                    CREATE TRIGGER refuses BEFORE INSERT ON fact_thing FOR EACH ROW EXECUTE FUNCTION refuses()",
        phase: "LoadFailed",
        told: &["cannot merge fact_thing: 42P01 (undefined table), raised by a function of the database"],
        undone: ["", "DROP TRIGGER refuses ON fact_thing"],
    },
    Trouble {
        name: "a trigger that swallows",
        source: TOUCHED,
        warehouse: "CREATE FUNCTION swallows() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
                    CREATE TRIGGER swallows BEFORE INSERT ON fact_thing FOR EACH ROW EXECUTE FUNCTION swallows()",
        phase: "LoadFailed",
        told: &["the table did not keep 9 of 9 rows"],
        undone: ["", "DROP TRIGGER swallows ON fact_thing"],
    },
];

impl World {
    /// Runs into a trouble, insists that it is told, and undoes it.
    async fn meets(&mut self, trouble: &Trouble) -> Run {
        self.application(trouble.source).await;
        self.warehouse_does(trouble.warehouse).await;
        let run = self.run().await;
        assert_eq!((run.status, run.failure.0.as_str()), (Status::Failed, trouble.phase), "{}: {run:?}", trouble.name);
        let alert = self.alerts().pop().expect("an alert");
        let answer: Value = serde_json::from_str(&run.failure.1).expect("a function's answer is JSON");
        let (cause, name) = (answer["errorMessage"].as_str().expect("a message"), trouble.name);
        for told in trouble.told {
            assert!(cause.contains(told) && alert.contains(told), "{name}: {told:?} is not in {cause} and {alert}");
        }
        self.application(trouble.undone[0]).await;
        self.warehouse_does(trouble.undone[1]).await;
        run
    }
}

/// What the stack wrote that is no place for rows: logs, histories, messages. The server's own log is one.
fn what_left(home: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = ["logs", "executions", "inbox"].map(|name| home.join(name)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("it can be read")) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("logs/postgres.log") {
                let bytes = std::fs::read(&path).expect("it can be read");
                files.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    files
}

/// Insists that no line of what left has a mark.
fn assert_kept(left: &[(String, String)]) {
    for (place, text) in left {
        let found = text.lines().find(|line| line.contains(MARK) || line.contains(NUMBER));
        assert_eq!(found, None, "in {place}");
    }
}

#[tokio::test]
async fn marked_values_go_through_every_failure_and_none_leaves() {
    let mut world = World::empty(|_| CATALOGUE.to_owned()).await;
    world.application(SOURCE).await;
    let mut runs = vec![world.load().await];
    for trouble in SOURCES.iter().chain(&REJECTS) {
        runs.push(world.meets(trouble).await);
    }
    // One that may be rejected: the reject table has it, with its value.
    world.application("UPDATE thing SET born = 'm4rker day' WHERE code = 'm4rker 1'").await;
    let rejected = world.load().await;
    assert_eq!(rejected.counts("fact_thing")[4], 1);
    runs.push(rejected);
    let kept = world.warehouse("SELECT concat_ws(' ', source_key::text, reason) FROM etl.reject").await;
    assert_eq!(kept, "{\"m4rker 1\"} born: \"m4rker day\" is no date (YYYY-MM-DD)");
    let alert = world.alerts().pop().expect("an alert");
    assert!(alert.contains("SELECT * FROM etl.reject WHERE pipeline = 'kept'"), "it says where to read: {alert}");
    world.application(MENDED).await;
    runs.push(world.load().await);
    for trouble in &WAREHOUSE {
        runs.push(world.meets(trouble).await);
    }
    let lake = world.everything_written();
    assert!(lake.contains(MARK) && lake.contains(NUMBER), "rows are in the lake");

    // What people print of it, and a run that fails before their eyes.
    let shell = Shell::new(|_| CATALOGUE.to_owned()).await;
    let home = world.path("home").display().to_string();
    let mut left = vec![("runs".to_owned(), format!("{runs:?}"))];
    let mut say = async |words: &[&str]| {
        let called = shell.call(words).await;
        left.push((words.join(" "), called.out + &called.err));
    };
    say(&["runs", "--home", &home]).await;
    for run in &runs {
        say(&["show", &run.name, "--home", &home]).await;
        say(&["show", &run.name, "--home", &home, "--json"]).await;
    }
    world.application("UPDATE how SET does = 'raise'; UPDATE base SET what = 'm4rker 4'").await;
    let folder = world.stop().await;
    let failed = shell.call(&["run", "--home", &home]).await;
    assert!(failed.out.contains("cannot read seen: P0001 (raised exception)"), "{failed:?}");
    left.push(("run".to_owned(), failed.out + &failed.err));
    left.extend(what_left(&folder.path().join("home")));
    assert!(left.len() > 2 * runs.len() + 20, "{} files and outputs", left.len());
    assert_kept(&left);
}
