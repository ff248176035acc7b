//! Parts: several of them in and out, and those that are not what their manifest or the catalogue says.

use catalog::Fault;
use catalog::manifest::Part;
use catalog::message::StepStatus;

use crate::bed::Bed;

const CATALOGUE: &str = "
    [pipeline]
    name = 'p'
    [source.tables.thing]
    key = 'id'
    capture = 'changes'
    columns = { id = 'integer', name = 'text null' }
    [facts.fact_thing]
    from = 'thing'
    surrogate_key = 'n'
    columns = { id = 'id', name = 'name' }
";

#[tokio::test]
async fn many_rows_are_several_row_groups_of_one_file() {
    let mut bed = Bed::new(CATALOGUE).await;
    let header = bed.header("thing");
    let mut parts = Vec::new();
    for (number, ids) in [(1, 0..40_000), (2, 40_000..80_000)] {
        let lines: String = ids.map(|id| format!("{id},n{id},1\n")).collect();
        parts.push(bed.part("thing", number, &format!("{header}{lines}")).await);
    }
    bed.manifest("thing", parts).await;
    assert_eq!(bed.transform("fact_thing", "1").await.unwrap().rows, 80_000);
    let (rows, groups) = bed.rows("fact_thing").await;
    assert_eq!((rows.len(), rows[79_999].as_str(), groups), (80_000, "(79999,n79999,1)", vec![2]));
    bed.end().await;
}

#[tokio::test]
async fn long_texts_are_several_files() {
    let mut bed = Bed::new(CATALOGUE).await;
    // Twenty texts of 2 MiB that hardly compress: letters of a linear congruential generator.
    let mut state = 1_u64;
    let mut text = || -> String {
        let letter = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'0' + u8::try_from(state >> 58).expect("six bits"))
        };
        (0..2 << 20).map(letter).collect()
    };
    let lines: String = (0..20).map(|id| format!("{id},\"{}\",1\n", text().replace('"', "'"))).collect();
    bed.extracted("thing", &lines).await;
    assert_eq!(bed.transform("fact_thing", "1").await.unwrap().rows, 20);
    let (rows, groups) = bed.rows("fact_thing").await;
    assert_eq!((rows.len(), groups.iter().sum::<usize>()), (20, 5), "a group is ended by its text");
    assert!(groups.len() > 1, "a file is ended by its size: {groups:?}");
    bed.end().await;
}

/// What is said of a part that is not what it should be.
async fn refused(damage: impl AsyncFnOnce(&Bed) -> Option<Part>) -> String {
    let bed = Bed::new(CATALOGUE).await;
    if let Some(part) = damage(&bed).await {
        bed.manifest("thing", vec![part]).await;
    }
    let error = bed.transform("fact_thing", "1").await.expect_err("it is refused");
    assert_eq!(error.fault(), Fault::LakeCorrupt, "{}", error.report());
    assert_eq!(bed.made("fact_thing").await, None);
    bed.end().await;
    error.report()
}

async fn good(bed: &Bed) -> Part {
    bed.part("thing", 1, &format!("{}1,one,1\n", bed.header("thing"))).await
}

#[tokio::test]
async fn a_part_that_was_altered_cut_or_lost_is_refused() {
    let altered = refused(async |bed| Some(Part { sha256: "0".repeat(64), ..good(bed).await })).await;
    assert!(altered.contains("its SHA-256 differs from its manifest's"), "{altered}");
    let cut = refused(async |bed| Some(Part { bytes: 7, ..good(bed).await })).await;
    assert!(cut.contains("its manifest says 7"), "{cut}");
    let lost = refused(async |bed| Some(Part { key: "thing/first/part-9-1.csv".to_owned(), ..good(bed).await })).await;
    assert!(lost.contains("part-9-1.csv is missing"), "{lost}");
    let without_manifest = refused(async |_| None).await;
    assert!(without_manifest.contains("the manifest thing/first/manifest.json is missing"), "{without_manifest}");
}

#[tokio::test]
async fn a_part_that_is_no_csv_of_the_catalogue_is_refused_with_the_line() {
    let open = refused(async |bed| Some(bed.part("thing", 1, &format!("{}1,one,1", bed.header("thing"))).await)).await;
    assert!(open.contains("is damaged: line 2: the last record has no line end"), "{open}");
    let fields = refused(async |bed| Some(bed.part("thing", 1, &format!("{}1,1\n", bed.header("thing"))).await)).await;
    assert!(fields.contains("line 2: 2 fields where the header has 3"), "{fields}");
    let version =
        refused(async |bed| Some(bed.part("thing", 1, &format!("{}1,one,x\n", bed.header("thing"))).await)).await;
    assert!(version.contains("line 2: its field _xmin is no transaction id"), "{version}");
    let header = refused(async |bed| Some(bed.part("thing", 1, "id,title,_xmin\n1,one,1\n").await)).await;
    assert!(header.contains("has the columns id, title, _xmin, which are not those of the catalogue"), "{header}");
}

#[tokio::test]
async fn what_is_done_already_is_answered_and_not_done_again() {
    let bed = Bed::new(CATALOGUE).await;
    let skipped = bed.transform_if("fact_thing", "1", false).await.unwrap();
    assert_eq!((skipped.status, skipped.rows), (StepStatus::Skipped, 0));
    let part = good(&bed).await;
    bed.manifest("thing", vec![part]).await;
    let first = bed.transform("fact_thing", "first").await.unwrap();
    let manifest = bed.made("fact_thing").await.unwrap();
    let second = bed.transform("fact_thing", "second").await.unwrap();
    assert_eq!((first.status, second.status), (StepStatus::Done, StepStatus::AlreadyDone));
    assert_eq!((second.rows, second.bytes), (first.rows, first.bytes));
    assert_eq!(bed.made("fact_thing").await, Some(manifest));
    bed.end().await;
}
