//! What the lake lost is read again: the state of the last batch, or a whole copy that a target needs.

use catalog::key::{Bucket, Key};
use catalog::manifest::{ExtractManifest, Part};
use catalog::message::{Plan, Read};
use catalog::{Function, Window};
use testbed::{Testbed, batch};

use crate::{commit, committed, first, ident, plan, read, second, settle};

/// `dim_place` is made of two tables.
const CATALOGUE: &str = "
    [pipeline]
    name = 'p'
    [source.tables]
    place = { key = 'id', capture = 'snapshot', columns = { id = 'integer', area_id = 'integer' } }
    area = { key = 'id', capture = 'snapshot', columns = { id = 'integer', name = 'text' } }
    [dimensions.dim_place]
    from = 'place'
    joins.area.on = 'area_id'
    columns = { id = 'id', area = 'area.name' }
";

#[tokio::test]
async fn a_state_that_is_lost_or_of_another_batch_means_everything_is_read() {
    let (bed, checkpoint) = committed().await;
    let mut base = checkpoint.base.clone().expect("a batch");
    base.state = "_states/gone-0.json".to_owned();
    let lost = catalog::message::Checkpoint { base: Some(base.clone()), ..Default::default() };
    let plan = second(&bed, &lost).await;
    assert_eq!(read(&plan, "thing"), (Read::Whole, "what was known of it is lost"));
    assert_eq!(plan.base, Some(base.batch), "it is built upon all the same");
    let lake = bed.host(Function::Load).await.lake;
    lake.create(Bucket::Processed, "_states/damaged-0.json", "{\"batch").await.expect("the lake answers");
    base = checkpoint.base.clone().expect("a batch");
    base.state = "_states/damaged-0.json".to_owned();
    let damaged = catalog::message::Checkpoint { base: Some(base), ..Default::default() };
    assert_eq!(read(&second(&bed, &damaged).await, "place"), (Read::Whole, "what was known of it is lost"));
    let mut other = checkpoint.base.clone().expect("a batch");
    other.batch = batch("another", 1).name;
    let other = catalog::message::Checkpoint { base: Some(other), ..Default::default() };
    assert_eq!(read(&second(&bed, &other).await, "thing"), (Read::Whole, "what was known of it is lost"));
    bed.end().await;
}

/// Writes what an extraction of the first batch left of a table: one part.
async fn extracted(bed: &Testbed, plan: &Plan, table: &str, body: &str) -> Part {
    let table = bed.catalog().table(table).expect("a table of the catalogue").clone();
    let lake = bed.host(Function::Extract(&table)).await.lake;
    let key = format!("{}/first/part-000001-0.csv", table.name);
    let part = lake.create_part(Bucket::Ingestion, key, 1, body.into()).await.expect("the lake takes it");
    let planned = &plan.tables[&table.name];
    let (source, state) = (plan.source.clone().expect("it is read"), planned.state.clone().expect("it is read"));
    let manifest = ExtractManifest {
        table: table.name.clone(),
        batch: plan.batch.clone(),
        read: planned.read,
        definition: planned.definition.clone(),
        source: source.identity,
        window: Window { from: state.horizon, until: state.horizon },
        state,
        columns: Vec::new(),
        rows: 1,
        bytes: part.bytes,
        parts: vec![part.clone()],
    };
    let key = Key::manifest(&table.name, &plan.batch.name).to_string();
    lake.create_json(Bucket::Ingestion, &key, manifest).await.expect("the lake takes it");
    part
}

/// A first batch over both tables, then a change of `place`: `area`'s copy is that of the first batch.
async fn copied(damage: impl FnOnce(&Testbed, &Part)) -> (Read, String) {
    let mut bed = Testbed::new(CATALOGUE).await;
    let tables = "CREATE TABLE area (id integer PRIMARY KEY, name text NOT NULL);
                  CREATE TABLE place (id integer PRIMARY KEY, area_id integer NOT NULL)";
    bed.source_does(tables).await;
    settle(&mut bed).await;
    let whole = first(&bed).await;
    extracted(&bed, &whole, "place", "id,area_id,_xmin\n1,1,1\n").await;
    let part = extracted(&bed, &whole, "area", "id,name,_xmin\n1,North,1\n").await;
    let checkpoint = commit(&bed, &whole).await;
    bed.source_does("INSERT INTO place VALUES (1, 1)").await;
    damage(&bed, &part);
    let plan = plan(&bed, batch("second", 5), &checkpoint).await.expect("it is planned");
    assert_eq!(read(&plan, "place").0, Read::Whole);
    let copy = plan.targets[&ident("dim_place")].sources[&ident("area")].clone().expect("it is needed");
    let (read, reason) = read(&plan, "area");
    assert_eq!(copy.as_str(), if read == Read::Whole { "second" } else { "first" });
    let answer = (read, reason.to_owned());
    bed.end().await;
    answer
}

fn file(bed: &Testbed, key: &str) -> std::path::PathBuf {
    let bucket = bed.stack.deployment.bucket(Bucket::Ingestion);
    bed.folder.path().join("home/lake").join(bucket).join(key)
}

#[tokio::test]
async fn a_whole_copy_that_is_there_is_not_read_again() {
    assert_eq!(copied(|_, _| {}).await, (Read::Nothing, "unchanged".to_owned()));
}

#[tokio::test]
async fn a_whole_copy_that_is_altered_cut_or_gone_is_read_again() {
    let damaged = (Read::Whole, "its last copy in the lake is damaged".to_owned());
    let altered = |bed: &Testbed, part: &Part| {
        std::fs::write(file(bed, &part.key), "id,name,_xmin\n1,South,1\n").expect("it can be written");
    };
    assert_eq!(copied(altered).await, damaged);
    let gone = |bed: &Testbed, part: &Part| std::fs::remove_file(file(bed, &part.key)).expect("it can be removed");
    assert_eq!(copied(gone).await, damaged);
    let all = |bed: &Testbed, _: &Part| std::fs::remove_dir_all(file(bed, "area")).expect("it can be removed");
    assert_eq!(copied(all).await, damaged);
}
