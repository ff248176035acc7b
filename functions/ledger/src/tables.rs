//! The ledger's tables: looked for, made, and brought to this version from the first.

use catalog::ledger::LedgerTable;
use catalog::{Error, Fault, Ident, Result, Side};
use host::postgres::classify;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::Ledger;
use crate::statement::execute;
use crate::trust::TRUSTED;

/// Takes the lock of the schema until the transaction ends, whatever pipelines it serves.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('datadetox ledger'), hashtext($1))";

/// Asks for the schema `$1` and the tables `$2`, without a right to any of them, and for every schema in which a ledger can
/// be read. What version 1 kept of a batch was a column of its own. What somebody says who is not trusted counts for nothing,
/// and to read it could run their code: the planner calculates what is constant in an index.
fn looking() -> String {
    format!(
        "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS schema,
        ARRAY(SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = $1 AND c.relname = ANY ($2)) AS tables,
        EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = $1 AND c.relname = 'batch' AND a.attname = 'state' AND NOT a.attisdropped) AS is_old,
        (SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = $1 AND c.relname = 'batch' AND NOT a.attisdropped
            AND a.attname IN ('pipeline', 'batch', 'started', 'committed_at', 'result')) AS own_columns,
        ARRAY(SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relname = 'target' AND c.relkind IN ('r', 'p') AND c.relowner IN ({TRUSTED})
                 AND c.relpersistence <> 't' AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid)
                 AND (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped
                         AND (a.attname, a.atttypid::regtype::text) IN (('schema_name', 'text'), ('target', 'text'), ('pipeline', 'text'),
                                 ('relation', 'oid'), ('file', 'bigint'), ('rows', 'bigint'), ('batch', 'text'))) = 7
               ORDER BY n.nspname) AS readable"
    )
}

/// What there is of a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Whether its schema exists.
    pub schema: bool,
    /// Those of its tables that do.
    pub tables: Vec<LedgerTable>,
    /// Whether version 1 made them.
    pub is_old: bool,
    /// Every schema of the warehouse in which the role can read whose the targets are: this one's, and those of others.
    pub readable: Vec<Ident>,
}

impl Made {
    /// Whether it can be read as it is. One that cannot remembers nothing: a table that was dropped may have held rows that
    /// wait.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.is_old && LedgerTable::ALL.iter().all(|table| self.has(*table))
    }

    /// Whether that table exists.
    #[must_use]
    pub fn has(&self, table: LedgerTable) -> bool {
        self.tables.contains(&table)
    }
}

impl Ledger<'_> {
    /// What there is of it.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn look(&self, warehouse: &mut PgConnection) -> Result<Made> {
        let failed = |error| self.failed(error);
        let names = LedgerTable::ALL.map(LedgerTable::name);
        let asked = sqlx::query(AssertSqlSafe(looking())).bind(self.catalog.warehouse.ledger.as_str()).bind(&names[..]);
        let row = asked.fetch_one(warehouse).await.map_err(failed)?;
        let found: Vec<String> = row.try_get("tables").map_err(failed)?;
        let own_columns: i64 = row.try_get("own_columns").map_err(failed)?;
        if own_columns < 5 && found.iter().any(|name| name == LedgerTable::Batch.name()) {
            let schema = &self.catalog.warehouse.ledger;
            let what =
                format!("{schema}.batch is not the pipeline's: give [warehouse] ledger the name of another schema");
            return Err(Error::new(Fault::WarehouseSchemaMismatch, what));
        }
        let readable: Vec<String> = row.try_get("readable").map_err(failed)?;
        Ok(Made {
            // Of a name that is none no statement can be made.
            readable: readable.into_iter().filter_map(|name| Ident::new(name).ok()).collect(),
            schema: row.try_get("schema").map_err(failed)?,
            tables: LedgerTable::ALL
                .into_iter()
                .filter(|table| found.iter().any(|name| name == table.name()))
                .collect(),
            is_old: row.try_get("is_old").map_err(failed)?,
        })
    }

    /// Makes what is missing, in a short transaction of its own, so that nobody's first load waits for another's.
    ///
    /// # Errors
    /// `Warehouse.AccessDenied` where the role may not, else what the warehouse answers.
    pub async fn prepare(&self, warehouse: &mut PgConnection) -> Result<()> {
        if self.look(warehouse).await?.is_complete() {
            return Ok(());
        }
        let schema = &self.catalog.warehouse.ledger;
        let doing = format!("cannot make the schema {schema}");
        execute(warehouse, &doing, "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        let locked = sqlx::query(AssertSqlSafe(LOCK)).bind(schema.as_str()).execute(&mut *warehouse).await;
        locked.map_err(|error| classify(Side::Warehouse, &doing, error))?;
        // Whoever held the lock may have made it.
        let made = self.look(warehouse).await?;
        execute(warehouse, &doing, self.making(&made)).await?;
        execute(warehouse, &doing, "COMMIT").await
    }

    fn making(&self, made: &Made) -> String {
        let mut statements = Vec::new();
        // No IF NOT EXISTS: it would ask for a right that is not needed.
        if !made.schema {
            statements.push(format!("CREATE SCHEMA {};\n", self.catalog.warehouse.ledger.sql()));
        }
        if made.is_old {
            statements.extend([self.upgrading_batches(), self.upgrading_rejects()]);
        } else if made.has(LedgerTable::Batch) && !made.is_complete() {
            // Everything is read once more: nobody knows what the missing table held.
            let batch = self.table(LedgerTable::Batch);
            statements.push(format!("UPDATE {batch} SET source = NULL, state_key = NULL;\n"));
        }
        for table in LedgerTable::ALL.into_iter().filter(|table| !made.has(*table)) {
            statements.push(match table {
                LedgerTable::Batch => self.making_batches(),
                LedgerTable::Target => self.making_targets(),
                LedgerTable::Reject => self.making_rejects(),
            });
        }
        statements.concat()
    }

    fn making_batches(&self) -> String {
        format!(
            "CREATE TABLE {batch} (
    pipeline     text        NOT NULL,
    number       bigint      NOT NULL,
    batch        text        NOT NULL,
    started      timestamptz NOT NULL,
    base         text,
    committed_at timestamptz NOT NULL,
    source       jsonb,
    state_key    text,
    result       jsonb       NOT NULL,
    PRIMARY KEY (pipeline, number),
    UNIQUE (pipeline, batch)
);
COMMENT ON TABLE {batch} IS 'Batches in the warehouse, each entered in the transaction that made it visible; the next run builds on the one with the highest number.';
",
            batch = self.table(LedgerTable::Batch)
        )
    }

    fn making_targets(&self) -> String {
        format!(
            "CREATE TABLE {target} (
    schema_name text   NOT NULL,
    target      text   NOT NULL,
    pipeline    text   NOT NULL,
    relation    oid    NOT NULL,
    file        bigint NOT NULL,
    rows        bigint NOT NULL,
    deleted     bigint NOT NULL,
    columns     text[] NOT NULL,
    numbers     int2[] NOT NULL,
    batch       text   NOT NULL,
    PRIMARY KEY (schema_name, target)
);
COMMENT ON TABLE {target} IS 'The tables that pipelines load: whose each is, and how many rows it has at least. Delete a row to give a table to another pipeline.';
",
            target = self.table(LedgerTable::Target)
        )
    }

    fn making_rejects(&self) -> String {
        format!(
            "CREATE TABLE {reject} (
    number      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pipeline    text        NOT NULL,
    target      text        NOT NULL,
    source_key  text[]      NOT NULL,
    reason      text        NOT NULL,
    source_row  jsonb       NOT NULL,
    target_row  jsonb,
    definition  text        NOT NULL,
    batch       text        NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX reject_key_idx ON {reject} (pipeline, target, source_key);
{comments}",
            reject = self.table(LedgerTable::Reject),
            comments = self.describing_rejects(),
        )
    }

    fn describing_rejects(&self) -> String {
        format!(
            "COMMENT ON TABLE {reject} IS 'Rows that could not be taken, every version of them: gone once their key is loaded.';
COMMENT ON COLUMN {reject}.target_row IS 'Present where only a dimension is missing: tried again by every load.';
",
            reject = self.table(LedgerTable::Reject)
        )
    }

    /// The batches of version 1 stay, in their order. What they knew of the source lies elsewhere, and is not used again.
    fn upgrading_batches(&self) -> String {
        format!(
            "ALTER TABLE {batch} ADD COLUMN number bigint, ADD COLUMN source jsonb, ADD COLUMN state_key text, DROP COLUMN state;
UPDATE {batch} AS b SET number = o.place, result = jsonb_build_object('waiting', 0) || b.result
  FROM (SELECT pipeline, batch, row_number() OVER (PARTITION BY pipeline ORDER BY committed_at, started, batch) AS place FROM {batch}) AS o
 WHERE (o.pipeline, o.batch) = (b.pipeline, b.batch);
ALTER TABLE {batch} ALTER COLUMN number SET NOT NULL, DROP CONSTRAINT batch_pkey;
ALTER TABLE {batch} ADD PRIMARY KEY (pipeline, number), ADD UNIQUE (pipeline, batch);
DROP INDEX IF EXISTS {schema}.batch_newest_idx;
",
            batch = self.table(LedgerTable::Batch),
            schema = self.catalog.warehouse.ledger.sql(),
        )
    }

    /// The rejected rows of version 1 go: everything is read once more, and those that still cannot be taken come back.
    fn upgrading_rejects(&self) -> String {
        format!(
            "DELETE FROM {reject};
ALTER TABLE {reject} DROP COLUMN source_key;
ALTER TABLE {reject} ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ADD COLUMN source_key text[] NOT NULL, ADD COLUMN definition text NOT NULL;
CREATE INDEX reject_key_idx ON {reject} (pipeline, target, source_key);
{comments}",
            reject = self.table(LedgerTable::Reject),
            comments = self.describing_rejects(),
        )
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::samples::catalog;

    #[test]
    fn a_ledger_is_made() {
        let catalog = catalog();
        expect![[r#"
            CREATE SCHEMA "the ""ledger""";
            CREATE TABLE "the ""ledger"""."batch" (
                pipeline     text        NOT NULL,
                number       bigint      NOT NULL,
                batch        text        NOT NULL,
                started      timestamptz NOT NULL,
                base         text,
                committed_at timestamptz NOT NULL,
                source       jsonb,
                state_key    text,
                result       jsonb       NOT NULL,
                PRIMARY KEY (pipeline, number),
                UNIQUE (pipeline, batch)
            );
            COMMENT ON TABLE "the ""ledger"""."batch" IS 'Batches in the warehouse, each entered in the transaction that made it visible; the next run builds on the one with the highest number.';
            CREATE TABLE "the ""ledger"""."target" (
                schema_name text   NOT NULL,
                target      text   NOT NULL,
                pipeline    text   NOT NULL,
                relation    oid    NOT NULL,
                file        bigint NOT NULL,
                rows        bigint NOT NULL,
                deleted     bigint NOT NULL,
                columns     text[] NOT NULL,
                numbers     int2[] NOT NULL,
                batch       text   NOT NULL,
                PRIMARY KEY (schema_name, target)
            );
            COMMENT ON TABLE "the ""ledger"""."target" IS 'The tables that pipelines load: whose each is, and how many rows it has at least. Delete a row to give a table to another pipeline.';
            CREATE TABLE "the ""ledger"""."reject" (
                number      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                pipeline    text        NOT NULL,
                target      text        NOT NULL,
                source_key  text[]      NOT NULL,
                reason      text        NOT NULL,
                source_row  jsonb       NOT NULL,
                target_row  jsonb,
                definition  text        NOT NULL,
                batch       text        NOT NULL,
                rejected_at timestamptz NOT NULL DEFAULT now()
            );
            CREATE INDEX reject_key_idx ON "the ""ledger"""."reject" (pipeline, target, source_key);
            COMMENT ON TABLE "the ""ledger"""."reject" IS 'Rows that could not be taken, every version of them: gone once their key is loaded.';
            COMMENT ON COLUMN "the ""ledger"""."reject".target_row IS 'Present where only a dimension is missing: tried again by every load.';
        "#]].assert_eq(&Ledger::of(&catalog).making(&Made::default()));
    }

    #[test]
    fn a_ledger_of_version_1_is_brought_to_this_one() {
        let catalog = catalog();
        let made = Made {
            schema: true,
            tables: vec![LedgerTable::Batch, LedgerTable::Reject],
            is_old: true,
            ..Made::default()
        };
        let targets = Ledger::of(&catalog).making_targets();
        expect![[r#"
            ALTER TABLE "the ""ledger"""."batch" ADD COLUMN number bigint, ADD COLUMN source jsonb, ADD COLUMN state_key text, DROP COLUMN state;
            UPDATE "the ""ledger"""."batch" AS b SET number = o.place, result = jsonb_build_object('waiting', 0) || b.result
              FROM (SELECT pipeline, batch, row_number() OVER (PARTITION BY pipeline ORDER BY committed_at, started, batch) AS place FROM "the ""ledger"""."batch") AS o
             WHERE (o.pipeline, o.batch) = (b.pipeline, b.batch);
            ALTER TABLE "the ""ledger"""."batch" ALTER COLUMN number SET NOT NULL, DROP CONSTRAINT batch_pkey;
            ALTER TABLE "the ""ledger"""."batch" ADD PRIMARY KEY (pipeline, number), ADD UNIQUE (pipeline, batch);
            DROP INDEX IF EXISTS "the ""ledger""".batch_newest_idx;
            DELETE FROM "the ""ledger"""."reject";
            ALTER TABLE "the ""ledger"""."reject" DROP COLUMN source_key;
            ALTER TABLE "the ""ledger"""."reject" ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ADD COLUMN source_key text[] NOT NULL, ADD COLUMN definition text NOT NULL;
            CREATE INDEX reject_key_idx ON "the ""ledger"""."reject" (pipeline, target, source_key);
            COMMENT ON TABLE "the ""ledger"""."reject" IS 'Rows that could not be taken, every version of them: gone once their key is loaded.';
            COMMENT ON COLUMN "the ""ledger"""."reject".target_row IS 'Present where only a dimension is missing: tried again by every load.';
            …"#]].assert_eq(&Ledger::of(&catalog).making(&made).replace(&targets, "…"));
    }

    #[test]
    fn a_ledger_that_lost_a_table_forgets_what_it_knew_of_the_source() {
        let catalog = catalog();
        let made = Made { schema: true, tables: vec![LedgerTable::Batch, LedgerTable::Target], ..Made::default() };
        let rejects = Ledger::of(&catalog).making_rejects();
        expect![[r#"
            UPDATE "the ""ledger"""."batch" SET source = NULL, state_key = NULL;
            …"#]]
        .assert_eq(&Ledger::of(&catalog).making(&made).replace(&rejects, "…"));
    }
}
