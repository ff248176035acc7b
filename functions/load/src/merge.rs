//! A stage into its table, set by set: R3 for what is there already, R6 for what points nowhere.

use catalog::message::Counts;
use catalog::{Batch, Catalog, Horizon, Literal, Result, Side, Target, TargetColumn, TargetKind, qualified};
use host::postgres::classify;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::execute;
use crate::ledger::Ledger;
use crate::stage::Stage;

pub(crate) struct Merge<'m> {
    pub(crate) catalog: &'m Catalog,
    pub(crate) target: &'m Target,
    pub(crate) stage: &'m Stage<'m>,
    pub(crate) ledger: &'m Ledger,
    pub(crate) batch: &'m Batch,
}

/// Rows whose dimension is missing.
struct Orphans {
    taken: u64,
    /// Of them, those that the next batch brings again.
    late: u64,
    /// Of the others, those not put aside before, or with another content.
    newly_aside: u64,
}

impl Merge<'_> {
    /// Merges; `waiting` is how many rows of this target were put aside before.
    pub(crate) async fn run(&self, warehouse: &mut PgConnection, horizon: Horizon, waiting: i64) -> Result<Counts> {
        let mut counts = Counts::default();
        let mut staged = self.stage.rows;
        if waiting > 0 {
            staged += self.restage(warehouse).await?;
        }
        if staged == 0 {
            return Ok(counts);
        }
        if self.target.references().next().is_some() {
            let orphans = self.take_orphans(warehouse, horizon).await?;
            (counts.deferred, counts.rejected) = (orphans.late, orphans.newly_aside);
            staged -= orphans.taken;
        }
        if waiting > 0 {
            self.close_rejects(warehouse).await?;
        }
        [counts.added, counts.updated] = if self.is_empty(warehouse).await? {
            [self.insert(warehouse).await?, 0]
        } else {
            let statement = match &self.target.kind {
                TargetKind::Dimension => self.upsert(),
                TargetKind::Fact { surrogate_key } => self.append_versions(&surrogate_key.sql().to_string()),
            };
            self.counts(warehouse, &statement).await?
        };
        counts.unchanged = staged.saturating_sub(counts.added + counts.updated);
        Ok(counts)
    }

    fn table(&self) -> String {
        qualified(&self.catalog.warehouse.schema, &self.target.name)
    }

    fn columns(&self, prefix: &str) -> String {
        self.target.columns.iter().map(|column| format!("{prefix}{}", column.name.sql())).collect::<Vec<_>>().join(", ")
    }

    fn same_key(&self, left: &str, right: &str) -> String {
        let pairs = self.target.key.iter().map(|key| format!("{left}.{0} = {right}.{0}", key.sql()));
        pairs.collect::<Vec<_>>().join(" AND ")
    }

    fn doing(&self) -> String {
        format!("cannot merge {}", self.target.name)
    }

    async fn is_empty(&self, warehouse: &mut PgConnection) -> Result<bool> {
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT NOT EXISTS (SELECT FROM {})", self.table())))
            .fetch_one(warehouse)
            .await
            .map_err(|error| classify(Side::Warehouse, &self.doing(), error))
    }

    /// Runs a statement that answers counts.
    async fn counts<const N: usize>(&self, warehouse: &mut PgConnection, statement: &str) -> Result<[u64; N]> {
        let failed = |error| classify(Side::Warehouse, &self.doing(), error);
        let row = sqlx::query(AssertSqlSafe(statement.to_owned())).fetch_one(warehouse).await.map_err(failed)?;
        let mut counts = [0; N];
        for (place, count) in counts.iter_mut().enumerate() {
            *count = u64::try_from(row.try_get::<i64, _>(place).map_err(failed)?).unwrap_or_default();
        }
        Ok(counts)
    }

    async fn changed_rows(&self, warehouse: &mut PgConnection, statement: String) -> Result<u64> {
        let done = sqlx::query(AssertSqlSafe(statement)).execute(warehouse).await;
        done.map(|done| done.rows_affected()).map_err(|error| classify(Side::Warehouse, &self.doing(), error))
    }

    /// Nothing is there yet: no version to compare with, no conflict to look for.
    async fn insert(&self, warehouse: &mut PgConnection) -> Result<u64> {
        let columns = self.columns("");
        let statement = format!("INSERT INTO {} ({columns}) SELECT {columns} FROM {}", self.table(), self.stage.name);
        self.changed_rows(warehouse, statement).await
    }

    /// R3 for dimensions: a row is written only where it differs.
    fn upsert(&self) -> String {
        let (table, stage, columns) = (self.table(), &self.stage.name, self.columns(""));
        let key = self.target.key.iter().map(|key| key.sql().to_string()).collect::<Vec<_>>().join(", ");
        let values: Vec<&TargetColumn> =
            self.target.columns.iter().filter(|column| !self.target.key.contains(&column.name)).collect();
        let each = |print: &dyn Fn(&str) -> String| {
            values.iter().map(|column| print(&column.name.sql().to_string())).collect::<Vec<_>>().join(", ")
        };
        let on_conflict = if values.is_empty() {
            "DO NOTHING".to_owned()
        } else {
            format!(
                "DO UPDATE SET {} WHERE ({}) IS DISTINCT FROM ({})",
                each(&|column| format!("{column} = excluded.{column}")),
                each(&|column| format!("known.{column}")),
                each(&|column| format!("excluded.{column}")),
            )
        };
        // A row that was inserted, not updated, has no xmax.
        format!(
            "WITH merged AS (INSERT INTO {table} AS known ({columns}) SELECT {columns} FROM {stage}
                             ON CONFLICT ({key}) {on_conflict} RETURNING known.xmax = 0 AS added)
             SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM merged"
        )
    }

    /// R3 for facts: a version is added only where it differs from the newest of its key, so that A → B → A gives three
    /// versions and A → A one.
    fn append_versions(&self, surrogate_key: &str) -> String {
        let (table, stage, columns) = (self.table(), &self.stage.name, self.columns(""));
        let (staged, newest) = (self.columns("s."), self.columns("n."));
        let order = self.target.key.iter().map(|key| key.sql().to_string()).collect::<Vec<_>>().join(", ");
        format!(
            "WITH changed AS MATERIALIZED (
                 SELECT {staged}, n.known
                   FROM {stage} AS s
                   LEFT JOIN LATERAL (SELECT f.*, true AS known FROM {table} AS f
                                       WHERE {same_key} ORDER BY f.{surrogate_key} DESC LIMIT 1) AS n ON true
                  WHERE n.known IS NULL OR ({newest}) IS DISTINCT FROM ({staged})),
             added AS (INSERT INTO {table} ({columns}) SELECT {columns} FROM changed ORDER BY {order})
             SELECT count(*) FILTER (WHERE known IS NULL), count(*) FILTER (WHERE known) FROM changed",
            same_key = self.same_key("f", "s"),
        )
    }

    /// R6: takes rows off the stage whose dimension is missing. Those written since the batch's horizon come again with
    /// the next batch; the others are put aside, with the reason.
    ///
    /// Outer joins and not `NOT EXISTS`: a dimension may be larger than a hashed subplan may be, and has no index yet when
    /// it was filled in this very transaction.
    async fn take_orphans(&self, warehouse: &mut PgConnection, horizon: Horizon) -> Result<Orphans> {
        let (mut joins, mut conditions, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (column, reference)) in self.target.references().enumerate() {
            let dimension = &reference.dimension;
            let (name, key) = (column.name.sql(), reference.key.sql());
            let dimension_table = qualified(&self.catalog.warehouse.schema, dimension);
            joins.push(format!("LEFT JOIN {dimension_table} AS d{number} ON d{number}.{key} = s.{name}"));
            let missing = format!("(s.{name} IS NOT NULL AND d{number}.{key} IS NULL)");
            let before = Literal(&format!("{} ", column.name)).to_string();
            let after = Literal(&format!(" is not in {dimension}")).to_string();
            reasons.push(format!("CASE WHEN {missing} THEN {before} || s.{name} || {after} END"));
            conditions.push(missing);
        }
        let columns = self.columns("o.");
        let statement = format!(
            "WITH missing AS (SELECT s.ctid AS place, concat_ws('; ', {reasons}) AS reason
                                FROM {stage} AS s {joins} WHERE {conditions}),
             orphan AS (DELETE FROM {stage} AS s USING missing AS m WHERE s.ctid = m.place RETURNING s.*, m.reason),
             judged AS (SELECT o.*, {key} AS source_key,
                               {late} AS late
                          FROM orphan AS o),
             aside AS (INSERT INTO etl.reject AS known (pipeline, target, source_key, reason, source_row, target_row, batch)
                       SELECT {pipeline}, {target}, o.source_key, o.reason, r.row, r.row, {batch}
                         FROM judged AS o, LATERAL (SELECT to_jsonb(t) AS row FROM (SELECT {columns}) AS t) AS r
                        WHERE NOT o.late
                       ON CONFLICT (pipeline, target, source_key) DO UPDATE
                          SET reason = excluded.reason, source_row = excluded.source_row, target_row = excluded.target_row,
                              batch = excluded.batch, rejected_at = now()
                        WHERE (known.reason, known.target_row) IS DISTINCT FROM (excluded.reason, excluded.target_row)
                       RETURNING 1)
             SELECT count(*), count(*) FILTER (WHERE late), (SELECT count(*) FROM aside) FROM judged",
            stage = self.stage.name,
            reasons = reasons.join(", "),
            joins = joins.join(" "),
            conditions = conditions.join(" OR "),
            key = self.stage.key_text("o"),
            late = horizon.staged_since("o"),
            pipeline = Literal(&self.ledger.pipeline),
            target = Literal(self.target.name.as_str()),
            batch = Literal(self.batch.name.as_str()),
        );
        let [taken, late, newly_aside] = self.counts(warehouse, &statement).await?;
        Ok(Orphans { taken, late, newly_aside })
    }

    /// Puts rows that waited for a dimension back on the stage, unless the batch brings their key itself.
    async fn restage(&self, warehouse: &mut PgConnection) -> Result<u64> {
        let statement = format!(
            "INSERT INTO {stage} ({columns})
             SELECT {fields} FROM etl.reject AS r, LATERAL jsonb_populate_record(NULL::{stage}, r.target_row) AS o
              WHERE r.pipeline = {pipeline} AND r.target = {target} AND r.target_row IS NOT NULL
                AND NOT EXISTS (SELECT FROM {stage} AS s WHERE {key} = r.source_key)",
            stage = self.stage.name,
            columns = self.columns(""),
            fields = self.columns("o."),
            pipeline = Literal(&self.ledger.pipeline),
            target = Literal(self.target.name.as_str()),
            key = self.stage.key_text("s"),
        );
        self.changed_rows(warehouse, statement).await
    }

    /// What is on the stage now will be in the table: it is put aside no longer.
    async fn close_rejects(&self, warehouse: &mut PgConnection) -> Result<()> {
        let statement = format!(
            "DELETE FROM etl.reject AS r USING {stage} AS s
              WHERE r.pipeline = {pipeline} AND r.target = {target} AND r.source_key = {key}",
            stage = self.stage.name,
            pipeline = Literal(&self.ledger.pipeline),
            target = Literal(self.target.name.as_str()),
            key = self.stage.key_text("s"),
        );
        execute(warehouse, &self.doing(), statement).await
    }
}
