//! Tables without lines, no wider than the terminal: 80 columns where there is none.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};

/// What every terminal has.
const WIDTH: u16 = 80;

/// A table whose first `words` columns are of words, which are broken where they do not fit; the others are of numbers.
pub(crate) fn table<const N: usize>(words: usize, header: [&str; N]) -> Table {
    let width = console::Term::stdout().size_checked().map_or(WIDTH, |(_, columns)| columns.max(WIDTH));
    table_of(width, words, header)
}

fn table_of<const N: usize>(width: u16, words: usize, header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    for column in table.column_iter_mut().skip(words) {
        column.set_cell_alignment(CellAlignment::Right);
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_name_as_long_as_postgres_allows_is_broken_and_numbers_are_not() {
        let name = "a_fact_whose_name_is_as_long_as_postgres_allows_a_name_to_be_63";
        assert_eq!(name.len(), 63);
        let mut targets = table_of(WIDTH, 1, ["TARGET", "ADDED", "UPDATED", "UNCHANGED", "DEFERRED", "REJECTED"]);
        targets.add_row([name, "1,234,567", "0", "12,345,678", "0", "0"]);
        targets.add_row(["dim_staff", "20", "0", "0", "0", "0"]);
        let mut tables = table_of(WIDTH, 2, ["SOURCE TABLE", "READ", "ROWS", "BYTES", "TIME"]);
        tables.add_row([name, "read in full: its definition changed", "1,234,567", "486.64 KiB", "12 min 2 s"]);
        let text = format!("{}\n\n{}\n", targets.trim_fmt(), tables.trim_fmt());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        expect![[r#"
            TARGET                           ADDED  UPDATED   UNCHANGED  DEFERRED  REJECTED
            a_fact_whose_name_is_as_lon  1,234,567        0  12,345,678         0         0
            g_as_postgres_allows_a_name
            _to_be_63
            dim_staff                           20        0           0         0         0

            SOURCE TABLE              READ                     ROWS       BYTES        TIME
            a_fact_whose_name_is_as_  read in full: its   1,234,567  486.64 KiB  12 min 2 s
            long_as_postgres_allows_  definition changed
            a_name_to_be_63
        "#]]
        .assert_eq(&text);
    }
}
