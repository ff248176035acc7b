//! A failed execution is held, told of, and goes on from the phase that failed once it is repaired and redriven.

use asl::Status;

use crate::world::{Run, World, execute};

impl World {
    /// Insists that an execution is held in `Halt`, and that its alert names what failed.
    fn assert_held(&self, run: &Run, error: &str, alerts: usize, named: &[&str]) {
        assert_eq!((run.status, run.failure.0.as_str()), (Status::Failed, error), "{run:?}");
        assert_eq!(self.alerts().len(), alerts);
        let alert = self.alerts().pop().expect("an alert");
        for word in named.iter().chain(&[run.name.as_str(), "    datadetox "]) {
            assert!(alert.contains(word), "{word:?} is not in {alert}");
        }
        let last = self.read(&run.name, |execution| {
            let entered = execution.events.iter().rfind(|event| event.kind.name() == "TaskStateEntered");
            entered.and_then(|event| event.kind.state_name()).map(str::to_owned)
        });
        assert_eq!(last.as_deref(), Some("Halt"));
    }
}

#[tokio::test]
async fn a_table_that_may_not_be_read_fails_alone_and_a_redrive_completes_the_run() {
    let mut world = World::new().await;
    world.log_source_reads().await;
    world.application("REVOKE SELECT ON payment FROM reader").await;
    let run = world.run().await;
    let named = ["payment", "Source.AccessDenied", "permission denied for table payment"];
    world.assert_held(&run, "ExtractFailed", 1, &named);
    assert!(run.failure.1.contains("payment: Source.AccessDenied"), "{}", run.failure.1);
    assert!(!run.failure.1.contains("sales_order"), "{}", run.failure.1);
    // The siblings finished: each has its manifest.
    assert_eq!(world.source_reads("sales_order"), 1);
    assert!(world.path(&format!("home/lake/totesys-ingestion/sales_order/{}/manifest.json", run.name)).is_file());

    // Redriven unrepaired it fails again, and tells again.
    world.redrive(&run.name).await;
    let again = world.wait(&run.name).await;
    world.assert_held(&again, "ExtractFailed", 2, &named);

    world.application("GRANT SELECT ON payment TO reader").await;
    world.redrive(&run.name).await;
    let done = world.wait(&run.name).await;
    assert_eq!((done.status, world.alerts().len()), (Status::Succeeded, 2), "{done:?}");
    assert_eq!(done.counts("fact_payment")[0], 300);
    // What was finished was not read a second time.
    assert_eq!((world.source_reads("sales_order"), world.source_reads("staff")), (1, 1));
    assert_eq!(world.stack.execution(&run.name).expect("it is there").summary().redrives, 2);
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_locked_table_is_busy_is_retried_and_a_redrive_completes_the_run() {
    let edit = |text: String| {
        text.replace(
            "schema = \"public\"\n\n[source.tables",
            "schema = \"public\"\nlock_timeout = \"100 ms\"\n\n[source.tables",
        )
    };
    let mut world = World::with_catalog(edit).await;
    let mut holder = world.hold("LOCK TABLE payment").await;
    let run = world.run().await;
    world.assert_held(&run, "ExtractFailed", 1, &["payment", "Source.Busy", "lock timeout"]);
    execute(&mut holder, "ROLLBACK").await;
    world.redrive(&run.name).await;
    assert_eq!(world.wait(&run.name).await.status, Status::Succeeded);
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_failure_in_transform_is_held_and_a_redrive_goes_on_there() {
    let mut world = World::new().await;
    let first = world.load().await;
    let folder = world.path(&format!("home/lake/totesys-ingestion/department/{}", first.name));
    let hidden = world.path("hidden");
    world.application("UPDATE staff SET first_name = 'New' WHERE staff_id = 1").await;
    world.log_source_reads().await;
    // Its copy is there when the batch is planned, and not when it is needed.
    let holder = world.hold("LOCK TABLE staff").await;
    let name = world.start(serde_json::json!({})).await;
    world.until_state(&name, "Plan", "TaskStateExited").await;
    std::fs::rename(&folder, &hidden).expect("it can be moved");
    drop(holder);
    let run = world.wait(&name).await;
    world.assert_held(&run, "TransformFailed", 1, &["dim_staff", "Lake.Corrupt", "department"]);
    world.redrive(&run.name).await;
    let again = world.wait(&run.name).await;
    world.assert_held(&again, "TransformFailed", 2, &["dim_staff"]);
    std::fs::rename(&hidden, &folder).expect("it can be moved back");
    world.redrive(&run.name).await;
    let done = world.wait(&run.name).await;
    assert_eq!((done.status, done.changed()), (Status::Succeeded, vec![("dim_staff".to_owned(), [0, 1])]));
    assert_eq!((world.visits(&run.name, "Extract"), world.source_reads("staff")), (1, 1));
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_failure_in_load_is_held_and_a_redrive_goes_on_there() {
    let mut world = World::new().await;
    world.load().await;
    world.application("UPDATE staff SET first_name = 'New' WHERE staff_id = 1").await;
    world.log_source_reads().await;
    // Its table is of the catalogue's shape when the run begins, and not when it is loaded.
    let holder = world.hold("LOCK TABLE staff").await;
    let name = world.start(serde_json::json!({})).await;
    world.until_state(&name, "Plan", "TaskStateExited").await;
    world.warehouse_does("ALTER TABLE dim_staff ADD COLUMN badge integer NOT NULL DEFAULT 0; ALTER TABLE dim_staff ALTER badge DROP DEFAULT").await;
    drop(holder);
    let run = world.wait(&name).await;
    world.assert_held(&run, "LoadFailed", 1, &["Warehouse.SchemaMismatch", "dim_staff.badge needs a value"]);
    world.redrive(&run.name).await;
    let again = world.wait(&run.name).await;
    world.assert_held(&again, "LoadFailed", 2, &["dim_staff.badge"]);
    world.warehouse_does("ALTER TABLE dim_staff DROP COLUMN badge").await;
    world.redrive(&run.name).await;
    let done = world.wait(&run.name).await;
    assert_eq!((done.status, done.changed()), (Status::Succeeded, vec![("dim_staff".to_owned(), [0, 1])]));
    let visits =
        (world.visits(&run.name, "Extract"), world.visits(&run.name, "Transform"), world.source_reads("staff"));
    assert_eq!(visits, (1, 1, 1));
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_redriven_run_that_others_overtook_changes_nothing() {
    let mut world = World::new().await;
    world.load().await;
    world.application("UPDATE staff SET first_name = 'Older' WHERE staff_id = 1").await;
    world.application("REVOKE SELECT ON staff FROM reader").await;
    let failed = world.run().await;
    world.assert_held(&failed, "ExtractFailed", 1, &["staff"]);
    world.application("GRANT SELECT ON staff TO reader").await;
    world.load().await;
    world.redrive(&failed.name).await;
    let late = world.wait(&failed.name).await;
    assert_eq!(late.output["load"]["status"], "superseded", "{late:?}");
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_run_that_a_redriven_older_one_overtook_changes_nothing_and_loses_nothing() {
    let mut world = World::new().await;
    world.load().await;
    let set = |amount: u32| format!("UPDATE payment SET payment_amount = {amount} WHERE payment_id = 5");
    world.application(&set(1)).await;
    world.application("REVOKE SELECT ON payment FROM reader").await;
    let older = world.run().await;
    world.assert_held(&older, "ExtractFailed", 1, &["payment"]);
    world.application("GRANT SELECT ON payment TO reader").await;

    // The newer one has read the payment, and waits for another table.
    world.application("UPDATE design SET design_name = 'Changed' WHERE design_id = 1").await;
    let mut holder = world.hold("LOCK TABLE design").await;
    let newer = world.start(serde_json::json!({})).await;
    world.until_state(&newer, "Extract payment", "TaskStateExited").await;
    // The older one reads it later, and is loaded first.
    world.application(&set(2)).await;
    world.redrive(&older.name).await;
    assert_eq!(world.wait(&older.name).await.output["load"]["status"], "loaded");
    execute(&mut holder, "ROLLBACK").await;
    let overtaken = world.wait(&newer).await;
    assert_eq!(overtaken.output["load"]["status"], "superseded", "{overtaken:?}");

    world.load().await;
    world.assert_same_as_source().await;
    let versions = "SELECT string_agg(payment_amount::int::text, ' ' ORDER BY payment_record_id) FROM
                    (SELECT * FROM fact_payment WHERE payment_id = 5 ORDER BY payment_record_id OFFSET 1) AS later";
    assert_eq!(world.warehouse(versions).await, "2");
    world.stop().await;
}
