//! The statements that read a table. COPY takes no parameters, so names and keys are quoted here, by their types.

use catalog::message::{Read, TablePlan};
use catalog::{Ident, Literal, ROW_VERSION, Table, qualified};

/// What is read.
pub(crate) struct Select<'s> {
    pub(crate) schema: &'s Ident,
    pub(crate) table: &'s Table,
    pub(crate) plan: &'s TablePlan,
}

/// A range of keys: from `start` on, up to but not with `end`. Each key as Postgres prints its columns.
#[derive(Default)]
pub(crate) struct Range {
    pub(crate) start: Option<Vec<String>>,
    pub(crate) end: Option<Vec<String>>,
}

impl Select<'_> {
    /// All mapped columns in the catalogue's order, then the row's transaction id.
    pub(crate) fn copy(&self, range: &Range) -> String {
        let columns: String = self.table.columns.iter().map(|column| format!("{}, ", column.name.sql())).collect();
        let version = if self.plan.versioned { "xmin" } else { "NULL" };
        format!(
            "COPY (SELECT {columns}{version} AS \"{ROW_VERSION}\" FROM {}{}) TO STDOUT WITH (FORMAT csv, HEADER)",
            self.name(),
            self.condition(range)
        )
    }

    /// The key of the row that follows the first `rows` from `start` on.
    pub(crate) fn key_after(&self, start: Option<&Vec<String>>, rows: u64) -> String {
        let texts = self.key(|key| format!("{}::text", key.sql()));
        let order = self.key(|key| key.sql().to_string());
        let condition = self.condition(&Range { start: start.cloned(), end: None });
        format!("SELECT ARRAY[{texts}] FROM {}{condition} ORDER BY {order} OFFSET {rows} LIMIT 1", self.name())
    }

    /// The planner's rows a page times the pages there are now. A table without statistics is taken for one of short
    /// rows; a view and a partitioned table tell nothing.
    pub(crate) fn estimate(&self) -> String {
        let name = self.name();
        format!(
            "SELECT CASE WHEN relkind NOT IN ('r', 'm') THEN NULL
                         WHEN reltuples < 0 OR relpages = 0 THEN pg_relation_size(oid) / 50
                         ELSE ceil(reltuples / relpages * (pg_relation_size(oid) / current_setting('block_size')::int)) END::bigint
               FROM pg_class WHERE oid = {}::regclass",
            Literal(&name)
        )
    }

    fn name(&self) -> String {
        qualified(self.schema, &self.table.name)
    }

    fn key(&self, print: impl Fn(&Ident) -> String) -> String {
        self.table.key.iter().map(|field| print(&field.column.name)).collect::<Vec<_>>().join(", ")
    }

    fn condition(&self, range: &Range) -> String {
        let key = self.key(|key| key.sql().to_string());
        let bound = |operator: &str, values: &Vec<String>| {
            let values = values.iter().map(|value| Literal(value).to_string()).collect::<Vec<_>>().join(", ");
            format!("({key}) {operator} ({values})")
        };
        let since = match self.plan.read {
            Read::Since { horizon } => Some(horizon.written_since()),
            Read::Whole | Read::Nothing => None,
        };
        let start = range.start.as_ref().map(|start| bound(">=", start));
        let end = range.end.as_ref().map(|end| bound("<", end));
        let conditions: Vec<String> = [since, start, end].into_iter().flatten().collect();
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
    }
}

#[cfg(test)]
mod tests {
    use catalog::{Catalog, Horizon};
    use expect_test::{Expect, expect};

    use super::*;

    /// What is built for a table with hostile names, a key of two columns, and such a plan.
    fn check(read: Read, versioned: bool, build: impl Fn(&Select<'_>) -> String, expected: Expect) {
        let text = "[pipeline]\nname = 'p'\n[source.tables.\"Order's\"]\nkey = ['a', 'B\"']\ncapture = 'changes'\n\
                    [source.tables.\"Order's\".columns]\na = 'integer'\n'B\"' = 'text'\n\
                    [dimensions.d]\nfrom = \"Order's\"\ncolumns = { a = 'a', b = 'B\"' }\n";
        let catalog = Catalog::parse("p", text).unwrap_or_else(|problems| panic!("{problems}"));
        let (reason, definition) = (String::new(), String::new());
        let plan = TablePlan { read, reason, expected_rows: None, versioned, definition, state: None };
        let (schema, table) = (&catalog.source.schema, &catalog.source.tables[0]);
        expected.assert_eq(&build(&Select { schema, table, plan: &plan }));
    }

    fn key(a: &str, b: &str) -> Option<Vec<String>> {
        Some(vec![a.to_owned(), b.to_owned()])
    }

    const SINCE: Read = Read::Since { horizon: Horizon::new((1 << 32) + 7) };

    #[test]
    fn a_whole_read_has_no_condition() {
        let copy = |select: &Select<'_>| select.copy(&Range::default());
        check(
            Read::Whole,
            true,
            copy,
            expect![[
                r#"COPY (SELECT "a", "B""", xmin AS "_xmin" FROM "public"."Order's") TO STDOUT WITH (FORMAT csv, HEADER)"#
            ]],
        );
        check(
            Read::Whole,
            false,
            copy,
            expect![[
                r#"COPY (SELECT "a", "B""", NULL AS "_xmin" FROM "public"."Order's") TO STDOUT WITH (FORMAT csv, HEADER)"#
            ]],
        );
    }

    #[test]
    fn changes_are_rows_written_since_the_horizon() {
        let copy = |select: &Select<'_>| select.copy(&Range::default());
        check(
            SINCE,
            true,
            copy,
            expect![[
                r#"COPY (SELECT "a", "B""", xmin AS "_xmin" FROM "public"."Order's" WHERE (xmin::text::bigint - 7 + 4294967296) % 4294967296 < (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 4294967303)) TO STDOUT WITH (FORMAT csv, HEADER)"#
            ]],
        );
    }

    #[test]
    fn a_slice_is_a_range_of_keys_which_are_quoted() {
        let copy = |select: &Select<'_>| select.copy(&Range { start: key("1", "O'Keefe"), end: key("2", "") });
        check(
            SINCE,
            true,
            copy,
            expect![[
                r#"COPY (SELECT "a", "B""", xmin AS "_xmin" FROM "public"."Order's" WHERE (xmin::text::bigint - 7 + 4294967296) % 4294967296 < (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 4294967303) AND ("a", "B""") >= ('1', 'O''Keefe') AND ("a", "B""") < ('2', '')) TO STDOUT WITH (FORMAT csv, HEADER)"#
            ]],
        );
    }

    #[test]
    fn the_next_slice_begins_after_so_many_rows() {
        let first = |select: &Select<'_>| select.key_after(None, 10);
        check(
            Read::Whole,
            true,
            first,
            expect![[
                r#"SELECT ARRAY["a"::text, "B"""::text] FROM "public"."Order's" ORDER BY "a", "B""" OFFSET 10 LIMIT 1"#
            ]],
        );
        let next = |select: &Select<'_>| select.key_after(key("1", "O'Keefe").as_ref(), 10);
        check(
            SINCE,
            true,
            next,
            expect![[
                r#"SELECT ARRAY["a"::text, "B"""::text] FROM "public"."Order's" WHERE (xmin::text::bigint - 7 + 4294967296) % 4294967296 < (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 4294967303) AND ("a", "B""") >= ('1', 'O''Keefe') ORDER BY "a", "B""" OFFSET 10 LIMIT 1"#
            ]],
        );
    }

    #[test]
    fn a_size_is_estimated_from_pages() {
        let estimate = |select: &Select<'_>| select.estimate();
        check(
            Read::Whole,
            true,
            estimate,
            expect![[r#"
                SELECT CASE WHEN relkind NOT IN ('r', 'm') THEN NULL
                                         WHEN reltuples < 0 OR relpages = 0 THEN pg_relation_size(oid) / 50
                                         ELSE ceil(reltuples / relpages * (pg_relation_size(oid) / current_setting('block_size')::int)) END::bigint
                               FROM pg_class WHERE oid = '"public"."Order''s"'::regclass"#]],
        );
    }
}
