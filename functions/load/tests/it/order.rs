//! Which batch may follow which, and over which warehouse.

use catalog::message::{LoadRequest, LoadStatus, Loaded};
use catalog::{BatchName, Fault, Side};
use testbed::execute;

use crate::shop::{CATALOGUE, Shop, brings, counts};

impl Shop {
    /// Insists that a batch changes nothing, and claims nothing.
    async fn supersedes(&mut self, request: &LoadRequest) {
        let batches = "SELECT count(*) FROM etl.batch";
        let before = self.ask(batches).await;
        let Loaded { status, targets, committed_at, freshness_ms, .. } =
            self.handle(request).await.expect("it answers");
        assert_eq!((status, targets.len()), (LoadStatus::Superseded, 0));
        assert_eq!((committed_at, freshness_ms), (None, None));
        assert_eq!(self.ask(batches).await, before);
    }

    async fn names(&mut self) -> String {
        self.ask("SELECT string_agg(name, ' ' ORDER BY id) FROM dim_staff").await
    }

    /// What the ledger says of a target, its place left out.
    async fn noted(&mut self, target: &str) -> String {
        let query = "SELECT concat_ws(' ', pipeline, rows, columns, batch) FROM etl.target WHERE target = ";
        self.ask(&format!("{query} '{target}'")).await
    }
}

#[tokio::test]
async fn a_batch_loads_only_on_the_batch_that_it_builds_on() {
    let mut shop = Shop::open().await;
    let first = shop.batch("first", &[brings("dim_staff", &["1|First"])]).await;
    let mut second = shop.batch("second", &[brings("dim_staff", &["1|Second"])]).await;
    // It began before the other one and comes in after it: no clock decides.
    second.batch.started = testbed::batch("second", 0).started;
    assert_eq!(shop.handle(&first).await.expect("it loads").status, LoadStatus::Loaded);
    shop.supersedes(&second).await;
    assert_eq!(shop.names().await, "First");
    second.base = Some(BatchName::new("lost").expect("a name"));
    shop.supersedes(&second).await;
    second.base = Some(first.batch.name.clone());
    assert_eq!(shop.handle(&second).await.expect("it answers").status, LoadStatus::Loaded);
    assert_eq!(shop.names().await, "Second");
    let numbers = "SELECT string_agg(concat_ws(' ', number, batch, base), ', ' ORDER BY number) FROM etl.batch";
    assert_eq!(shop.ask(numbers).await, "1 first, 2 second first");
    assert_eq!(shop.handle(&first).await.expect("it answers").status, LoadStatus::AlreadyLoaded);
    shop.close().await;
}

#[tokio::test]
async fn a_ledger_that_was_emptied_after_the_plan_supersedes_the_batch() {
    let mut shop = Shop::open().await;
    shop.load("one", &[brings("dim_staff", &["1|Ada"])]).await;
    let request = shop.batch("two", &[brings("dim_staff", &["2|Bob"])]).await;
    shop.bed.warehouse_does("DELETE FROM etl.batch").await;
    shop.supersedes(&request).await;
    assert_eq!(shop.names().await, "Ada");
    shop.close().await;
}

#[tokio::test]
async fn a_target_that_was_lost_after_the_plan_supersedes_the_batch_unless_it_is_rebuilt() {
    let mut shop = Shop::open().await;
    let lines = brings("fact_line", &["7|a|1|NULL|x", "7|b|1|NULL|x"]);
    shop.load("one", &[brings("dim_staff", &["1|Ada"]), lines.clone()]).await;
    assert_eq!(shop.noted("fact_line").await, "shop 2 {number,place,seller,packer,note} one");
    for (number, harm) in
        ["DROP TABLE fact_line", "TRUNCATE fact_line", "DELETE FROM fact_line"].into_iter().enumerate()
    {
        let newest = shop.newest.clone().expect("there is one");
        let mut request = shop.batch(&format!("after {newest}"), std::slice::from_ref(&lines)).await;
        shop.bed.warehouse_does(harm).await;
        shop.supersedes(&request).await;
        let fact = request.targets.iter_mut().find(|(name, _)| name.as_str() == "fact_line").expect("it is planned").1;
        fact.rebuild = true;
        let loaded = shop.handle(&request).await.expect("it loads");
        assert_eq!(counts(&loaded, "fact_line"), [2, 0, 0, 0, 0], "{number}: {harm}");
        assert!(shop.noted("fact_line").await.starts_with("shop 2 "), "{harm}");
        shop.newest = Some(request.batch.name);
    }
    let constraints = "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint
                        WHERE conrelid = 'fact_line'::regclass AND contype IN ('p', 'f') AND convalidated";
    assert_eq!(shop.ask(constraints).await, "fact_line_packer_fkey fact_line_pkey fact_line_seller_fkey");
    shop.close().await;
}

#[tokio::test]
async fn a_table_that_was_put_back_with_all_its_rows_is_whole() {
    let mut shop = Shop::open().await;
    shop.load("one", &[brings("fact_line", &["7|a|NULL|NULL|x", "7|b|NULL|NULL|x"])]).await;
    shop.bed
        .warehouse_does("ALTER TABLE fact_line RENAME TO gone; CREATE TABLE fact_line (LIKE gone INCLUDING ALL); INSERT INTO fact_line SELECT * FROM gone")
        .await;
    let loaded = shop.load("two", &[brings("fact_line", &["7|a|NULL|NULL|y"])]).await;
    assert_eq!(counts(&loaded, "fact_line"), [0, 1, 0, 0, 0]);
    assert!(shop.noted("fact_line").await.starts_with("shop 3 "));
    let request = shop.batch("three", &[]).await;
    shop.bed.warehouse_does("DELETE FROM fact_line WHERE place = 'b'; CLUSTER fact_line USING fact_line_pkey1").await;
    shop.supersedes(&request).await;
    shop.close().await;
}

#[tokio::test]
async fn rows_that_refer_to_what_is_gone_for_good_do_not_stop_a_dimension_that_is_made_anew() {
    let mut shop = Shop::open().await;
    let staff = brings("dim_staff", &["1|Ada", "2|Bob"]);
    shop.load("one", &[staff, brings("fact_line", &["7|a|1|2|x"])]).await;
    shop.bed.warehouse_does("DROP TABLE dim_staff CASCADE").await;
    // Bob is not in the source any more.
    let mut request = shop.batch("two", &[brings("dim_staff", &["1|Ada"])]).await;
    for plan in request.targets.values_mut() {
        plan.rebuild = plan.build;
    }
    shop.handle(&request).await.expect("it loads");
    let references =
        "SELECT string_agg(concat_ws(' ', conname, convalidated), ', ' ORDER BY conname) FROM pg_constraint
                       WHERE conrelid = 'fact_line'::regclass AND contype = 'f'";
    assert_eq!(shop.ask(references).await, "fact_line_packer_fkey f, fact_line_seller_fkey f");
    shop.close().await;
}

#[tokio::test]
async fn a_role_whose_transactions_are_repeatable_reads_sees_what_the_load_before_it_committed() {
    let mut shop = Shop::with(&CATALOGUE.replace("100ms", "1m")).await;
    shop.load("one", &[brings("fact_line", &["7|a|NULL|NULL|A"])]).await;
    let mut server = shop.bed.superuser(Side::Warehouse).await;
    let database = shop.bed.database(Side::Warehouse).replace('"', "\"\"");
    let default =
        format!("ALTER ROLE loader IN DATABASE \"{database}\" SET default_transaction_isolation = 'repeatable read'");
    execute(&mut server, &default).await;
    let row = [brings("fact_line", &["7|a|NULL|NULL|B"])];
    let (two, three) = (shop.batch("two", &row).await, shop.batch("three", &row).await);
    // Both wait for the lock; whichever comes second must see what the first one did.
    let lock = "SELECT pg_advisory_xact_lock(hashtext('datadetox'), hashtext('shop'))";
    let holder = shop.bed.hold(Side::Warehouse, lock).await;
    let (two, three, ()) = tokio::join!(shop.handle(&two), shop.handle(&three), shop.release(holder, 2));
    let mut ended = [two.expect("it answers").status, three.expect("it answers").status];
    ended.sort_by_key(|status| *status == LoadStatus::Superseded);
    assert_eq!(ended, [LoadStatus::Loaded, LoadStatus::Superseded]);
    assert_eq!(shop.lines().await, "7|a|NULL|NULL|A; 7|a|NULL|NULL|B");
    shop.close().await;
}

#[tokio::test]
async fn a_batch_of_another_catalogue_is_refused() {
    let mut shop = Shop::open().await;
    let mut request = shop.batch("one", &[brings("dim_staff", &["1|Ada"])]).await;
    let staff = request.targets.iter_mut().find(|(name, _)| name.as_str() == "dim_staff").expect("it is planned").1;
    let right = std::mem::replace(&mut staff.definition, "another".to_owned());
    let words = [format!("dim_staff is {right} here and another there")];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    shop.refuses(&request, Fault::DeploymentInProgress, &words).await;
    assert_eq!(shop.ask("SELECT count(*) FROM etl.batch").await, "0");
    shop.close().await;
}

#[tokio::test]
async fn the_horizon_that_is_committed_is_the_read_s_own() {
    let mut shop = Shop::open().await;
    let mut request = shop.batch("one", &[brings("dim_staff", &["1|Ada"])]).await;
    // Planned again after the read, whose manifest the second try answered.
    let mut planned = request.extracted[0].state.clone().expect("it is read");
    planned.horizon = catalog::Horizon::new(5_000);
    request.next.tables.insert(request.extracted[0].table.clone(), planned);
    shop.handle(&request).await.expect("it loads");
    let state = shop.state_of(&request.batch).await;
    assert_eq!(state.tables[&request.extracted[0].table], request.extracted[0].state.clone().expect("it is read"));
    assert_eq!(state.batch, request.batch);
    shop.close().await;
}
