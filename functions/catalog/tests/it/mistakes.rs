//! Mistakes: each has its line and, where one can be guessed, what was meant. All of a file are told at once.

use catalog::Catalog;
use expect_test::{Expect, expect};

use crate::shipped;

/// The problems of the shipped catalogue after each `(old, new)` was replaced once.
fn check(edits: &[(&str, &str)], expected: &Expect) {
    let mut text = shipped();
    for (old, new) in edits {
        assert!(text.contains(old), "the catalogue no longer holds {old:?}");
        text = text.replacen(old, new, 1);
    }
    let problems = Catalog::parse("pipeline.toml", &text).expect_err("a mistake");
    expected.assert_eq(&problems.to_string());
}

#[test]
fn five_mistakes_are_told_at_once_with_line_and_suggestion() {
    check(
        &[
            ("schedule =", "schedul ="),
            ("currency_code = \"varchar(3)\"", "currency_code = \"varchr(3)\""),
            ("from = \"staff\"", "from = \"saff\""),
            ("unit_price = \"unit_price\"", "unit_price = \"unit_prize\""),
            ("references = \"dim_design\"", "references = \"dim_desing\""),
        ],
        &expect![[r#"
            pipeline.toml:6:1: unknown key "schedul" in [pipeline] (did you mean "schedule"?)
            pipeline.toml:44:17: "varchr(3)" is no type that can be carried (did you mean "varchar"?)
            pipeline.toml:206:8: "saff" is no source table (did you mean "staff"?)
            pipeline.toml:236:14: "unit_prize" is no column of sales_order (did you mean "unit_price"?)
            pipeline.toml:238:48: "dim_desing" is no dimension (did you mean "dim_design"?)"#]],
    );
}

#[test]
fn keys_are_checked() {
    check(
        &[
            ("key = \"address_id\"", "key = \"address\""),
            ("key = \"department_id\"", "key = [\"location\"]"),
            ("key = \"design_id\"", ""),
            ("design_id = \"design_id\"\n", ""),
            ("sales_order_id = \"sales_order_id\"\ncreated_date", "created_date"),
        ],
        &expect![[r#"
            pipeline.toml:19:7: the key "address" is no column of address (did you mean "address_id"?)
            pipeline.toml:47:8: the key location may not be null
            pipeline.toml:54:16: [source.tables.design] lacks "key" (name the column, or the list of columns, that identifies a row)
            pipeline.toml:226:25: fact_sales_order has no column for sales_order_id, the key of sales_order (add sales_order_id = "sales_order_id": without it a changed row is not known again)"#]],
    );
}

#[test]
fn cursors_are_checked() {
    check(
        &[
            ("key = \"address_id\"", "key = \"address_id\"\ncursor = \"changed\""),
            ("key = \"sales_order_id\"", "key = \"sales_order_id\"\ncursor = \"units_sold\""),
            ("key = \"payment_id\"", "key = \"payment_id\"\ncursor = \"last_updated\""),
        ],
        &expect![[r#"
            pipeline.toml:20:10: the cursor "changed" is no column of address (known here: address_id, address_line_1, address_line_2, district, city, postal_code, country, phone)
            pipeline.toml:83:10: the cursor units_sold is integer (name the date or time that the application moves with every change)"#]],
    );
}

#[test]
fn joins_are_checked() {
    check(
        &[
            (
                "capture = \"snapshot\"\n[source.tables.department.columns]",
                "capture = \"changes\"\n[source.tables.department.columns]",
            ),
            ("joins.address.on = \"legal_address_id\"", "joins.address.on = \"counterparty_legal_name\""),
            ("\"department.department_name\"", "\"dept.department_name\""),
        ],
        &expect![[r#"
            pipeline.toml:148:20: counterparty_legal_name is text, but address.address_id is integer
            pipeline.toml:207:7: department is joined, so a change of one side must reach all rows of the other (set capture = "snapshot" for department)
            pipeline.toml:212:19: dim_staff joins nothing called "dept" (known here: department)"#]],
    );
}

#[test]
fn values_are_checked() {
    check(
        &[
            ("name = \"totesys\"", "name = \"Totesys\""),
            ("schedule = \"5 minutes\"", "schedule = \"90 seconds\""),
            ("alerts = [\"data-team@terrifictotes.com\"]", "alerts = \"data team\""),
            ("reject_limit = 100", "reject_limit = \"many\""),
            ("capture = \"changes\"\n[source", "capture = \"change\"\n[source"),
            ("created_date = { date_of = \"created_at\"", "created_date = { date_of = \"units_sold\""),
            ("type = \"numeric\"", "type = \"varchar\""),
            ("if_null = \"Unknown\"", "if_null = [\"Unknown\"]"),
            ("{ calendar = \"quarter\" }", "{ calendar = \"qarter\" }"),
            ("paid = \"paid\"", "paid = { form = \"paid\" }"),
            ("payment_amount = \"numeric(10,2)\"", "payment_amount = \"numeric\""),
        ],
        &expect![[r#"
            pipeline.toml:5:8: "Totesys" cannot begin the names of AWS resources (lower-case letters, digits and hyphens, beginning with a letter, at most 20)
            pipeline.toml:6:12: pipeline.schedule must be a duration from 1m to 1day in steps of 1m (write for example "5 minutes")
            pipeline.toml:9:10: "data team" is not an e-mail address
            pipeline.toml:56:11: "change" is no way to capture a table (did you mean "changes"?)
            pipeline.toml:132:18: numeric needs a precision and a scale here (say how many digits to carry, for example numeric(38,10); a value with more is rejected)
            pipeline.toml:144:16: warehouse.reject_limit must be a whole number from 0 to 10000
            pipeline.toml:177:24: "qarter" is nothing a calendar knows (did you mean "quarter"?)
            pipeline.toml:213:54: dimensions.dim_staff.columns.location.if_null is a list, not a constant
            pipeline.toml:229:28: date_of reads timestamp or timestamptz, but units_sold is integer
            pipeline.toml:256:54: item_unit_price is numeric(10,2), which a column of character varying does not hold
            pipeline.toml:276:1: fact_payment.paid does not say where its value comes from (use one of from, date_of, time_of, text_to_date, currency_name, calendar)
            pipeline.toml:276:10: unknown key "form" in [facts.fact_payment.columns.paid] (did you mean "from"?)"#]],
    );
}

#[test]
fn duplicates_and_broken_syntax_are_told_by_line() {
    check(
        &[("city = \"text\"\n", "city = \"text\"\ncity = \"text\"\n"), ("country = \"text\"\n", "country = text\n")],
        &expect![[r#"
            pipeline.toml:27:1: duplicate key
            pipeline.toml:29:11: invalid boolean, expected `true`"#]],
    );
    check(
        &[("[facts.fact_payment]", "[facts.dim_staff]"), ("[facts.fact_payment.columns]", "[facts.dim_staff.columns]")],
        &expect!["pipeline.toml:262:8: dim_staff is a dimension already"],
    );
}

#[test]
fn an_empty_file_is_told_what_it_needs() {
    let problems = Catalog::parse("pipeline.toml", "").expect_err("nothing in it");
    expect![[r#"
        pipeline.toml:1:1: the file lacks "pipeline" (add [pipeline] with a name)
        pipeline.toml:1:1: the file lacks "source" (add [source.tables.<name>] for every table to read)
        pipeline.toml:1:1: the file names nothing to build (add [dimensions.<name>] or [facts.<name>] for every warehouse table)"#]]
    .assert_eq(&problems.to_string());
}
