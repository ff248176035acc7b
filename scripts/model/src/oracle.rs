//! The oracle: source, journal and warehouse beside each other in a database of its own, and SQL that says what is wrong.

use anyhow::{Context as _, Result, bail};
use futures_util::TryStreamExt as _;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::reader::{LEDGER, WAITING};
use crate::site::Site;
use crate::sql;
use crate::writer::EARLY;

const ORACLE: &str = include_str!("oracle.sql");

/// What is copied of the source, and into what.
const OF_SOURCE: [(&str, &str); 8] = [
    ("truth.department", "SELECT department_id, department_name, location FROM department"),
    ("truth.staff", "SELECT staff_id, first_name, department_id FROM staff"),
    ("truth.product", "SELECT product_id, product_name, maker, kind, price, shelf FROM product"),
    ("truth.channel", "SELECT channel_id, channel_name FROM channel"),
    (
        "truth.sale",
        "SELECT sale_id, product_id, staff_id, channel_id, units, price, note, sold_on, created_at, last_updated FROM sale",
    ),
    ("truth.stock", "SELECT product_id, place, units, counted_at FROM stock"),
    ("truth.change", "SELECT id, tab, key, txid, gone, row FROM journal.change"),
    ("truth.run", "SELECT batch, began, ended FROM journal.run"),
];

/// The same of the warehouse.
const OF_WAREHOUSE: [(&str, &str); 6] = [
    ("loaded.dim_staff", "SELECT staff_id, first_name, department_name, location FROM dim_staff"),
    ("loaded.dim_product", "SELECT product_id, product_name, maker, kind, price, shelf FROM dim_product"),
    ("loaded.dim_channel", "SELECT channel_id, channel_name FROM dim_channel"),
    ("loaded.dim_date", "SELECT date_id, year, month, day, day_name FROM dim_date"),
    (
        "loaded.fact_sale",
        "SELECT sale_record_id, sale_id, product_id, staff_id, channel_id, units, price, note, sold_on, created_date,
                created_time, last_updated_date, last_updated_time FROM fact_sale",
    ),
    (
        "loaded.fact_stock",
        "SELECT stock_record_id, product_id, place, units, counted_date, counted_time FROM fact_stock",
    ),
];

/// What a seed knows of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The oldest run whose versions must be there still: what a warehouse lost before it, it lost.
    pub(crate) since: Option<String>,
    /// The source lost transactions that it had committed.
    pub(crate) lossy: bool,
    /// What stands for a shelf that is NULL.
    pub(crate) unknown: &'static str,
}

/// A question whose every answer is something wrong.
struct Question {
    what: &'static str,
    /// Whether a source that lost what it had committed leaves such traces by right.
    even_if_lossy: bool,
    sql: &'static str,
}

const QUESTIONS: [Question; 11] = [
    Question {
        what: "a dimension's row is missing or not what its source join says",
        even_if_lossy: true,
        sql: "SELECT 'dim_staff ' || to_jsonb(e)::text FROM (TABLE truth.dim_staff EXCEPT TABLE loaded.dim_staff) AS e
              UNION ALL
              SELECT 'dim_product ' || to_jsonb(e)::text FROM (TABLE truth.dim_product EXCEPT TABLE loaded.dim_product) AS e
              UNION ALL
              SELECT 'dim_channel ' || to_jsonb(e)::text FROM (TABLE truth.dim_channel EXCEPT TABLE loaded.dim_channel) AS e",
    },
    Question {
        what: "a dimension has a key twice",
        even_if_lossy: true,
        sql: "SELECT 'dim_staff ' || staff_id FROM loaded.dim_staff GROUP BY staff_id HAVING count(*) > 1
              UNION ALL
              SELECT 'dim_product ' || product_id FROM loaded.dim_product GROUP BY product_id HAVING count(*) > 1",
    },
    Question {
        what: "a dimension has a row that the source never had",
        even_if_lossy: false,
        sql: "SELECT 'dim_staff ' || to_jsonb(l)::text FROM loaded.dim_staff AS l
               WHERE NOT EXISTS (SELECT FROM truth.change AS c WHERE c.tab = 'staff' AND c.key = l.staff_id::text)
              UNION ALL
              SELECT 'dim_product ' || to_jsonb(l)::text FROM loaded.dim_product AS l
               WHERE NOT EXISTS (SELECT FROM truth.change AS c WHERE c.tab = 'product' AND c.key = l.product_id::text)",
    },
    Question {
        what: "the calendar lacks a date or is wrong about it",
        even_if_lossy: true,
        sql: "SELECT to_jsonb(l)::text FROM loaded.dim_date AS l
               WHERE (year, month, day, day_name) IS DISTINCT FROM
                     (extract(year FROM date_id)::int, extract(month FROM date_id)::int, extract(day FROM date_id)::int,
                      to_char(date_id, 'FMDay'))
              UNION ALL
              SELECT used.d::text FROM (SELECT sold_on FROM loaded.fact_sale UNION SELECT created_date FROM loaded.fact_sale
                                        UNION SELECT last_updated_date FROM loaded.fact_sale
                                        UNION SELECT counted_date FROM loaded.fact_stock) AS used (d)
               WHERE d NOT IN (SELECT date_id FROM loaded.dim_date)",
    },
    Question {
        what: "the newest version of a key is not what the source holds",
        even_if_lossy: true,
        sql: "SELECT jsonb_build_object('fact', n.tab, 'key', n.key, 'source', n.content, 'newest', v.content)::text
                FROM truth.newest AS n
                LEFT JOIN (SELECT DISTINCT ON (tab, key) * FROM loaded.version ORDER BY tab, key, number DESC) AS v
                  USING (tab, key)
               WHERE n.content IS DISTINCT FROM v.content",
    },
    Question {
        what: "a version repeats the one before it",
        even_if_lossy: true,
        sql: "SELECT jsonb_build_object('fact', tab, 'key', key, 'number', number, 'content', content)::text
                FROM (SELECT *, lag(content) OVER (PARTITION BY tab, key ORDER BY number) AS before FROM loaded.version) AS v
               WHERE content = before",
    },
    Question {
        what: "a version was never committed, or not in this order",
        even_if_lossy: false,
        sql: "SELECT jsonb_build_object('fact', v.tab, 'key', v.key, 'versions', v.list, 'committed', c.list)::text
                FROM (SELECT tab, key, array_agg(content ORDER BY number) AS list FROM loaded.version GROUP BY 1, 2) AS v
                LEFT JOIN (SELECT tab, key, array_agg(content ORDER BY id) FILTER (WHERE NOT gone) AS list
                             FROM truth.content GROUP BY 1, 2) AS c USING (tab, key)
               WHERE NOT truth.is_within(v.list, c.list)",
    },
    Question {
        what: "a content stood unchanged during a whole run that ended well, and is no version",
        even_if_lossy: true,
        sql: "WITH run AS (
                  SELECT batch, began, ended FROM truth.run, truth.seed
                   WHERE ended IS NOT NULL AND (seed.since IS NULL OR batch >= seed.since)),
              stood AS (
                  SELECT DISTINCT ON (run.batch, c.tab, c.key) run.batch, c.*, run.began AS b, run.ended AS e
                    FROM run JOIN truth.content AS c ON pg_visible_in_snapshot(c.txid, run.ended)
                   ORDER BY run.batch, c.tab, c.key, c.id DESC),
              asked AS (
                  SELECT DISTINCT id, tab, key, content FROM stood
                   WHERE NOT gone AND pg_visible_in_snapshot(txid, b) AND (tab <> 'sale' OR key::bigint < $early)
                     AND content ->> 'product_id' NOT IN (SELECT key FROM truth.absent)),
              each AS (SELECT tab, key, array_agg(content ORDER BY id) AS list
                         FROM (SELECT *, lag(content) OVER (PARTITION BY tab, key ORDER BY id) AS before FROM asked) AS a
                        WHERE content IS DISTINCT FROM before GROUP BY 1, 2)
              SELECT jsonb_build_object('fact', tab, 'key', key, 'stood', each.list, 'versions', v.list)::text
                FROM each
                LEFT JOIN (SELECT tab, key, array_agg(content ORDER BY number) AS list FROM loaded.version GROUP BY 1, 2) AS v
                  USING (tab, key)
               WHERE NOT truth.is_within(each.list, v.list)",
    },
    Question {
        what: "a fact has a key that the source never had",
        even_if_lossy: false,
        sql: "SELECT v.tab || ' ' || v.key FROM loaded.version AS v
               WHERE NOT EXISTS (SELECT FROM truth.change AS c WHERE c.tab = v.tab AND c.key = v.key)",
    },
    Question {
        what: "a row waits though everything that it refers to is there",
        even_if_lossy: true,
        sql: "SELECT target || ': ' || reason FROM loaded.waiting",
    },
    Question {
        what: "the ledger has a batch twice",
        even_if_lossy: true,
        sql: "SELECT batch FROM loaded.batch GROUP BY batch HAVING count(*) > 1",
    },
];

/// Says everything that is wrong.
pub(crate) async fn ask(site: &Site, known: &Known) -> Result<()> {
    let place = site.place();
    let mut oracle = site.oracle().await?.connect().await.context("cannot connect to the oracle")?;
    sql::execute(&mut oracle, ORACLE).await?;
    let since = known.since.as_ref().map_or_else(|| "NULL".to_owned(), |batch| format!("'{batch}'"));
    let seed = format!("INSERT INTO truth.seed VALUES ({since}, {}, '{}')", known.lossy, known.unknown);
    sql::execute(&mut oracle, &seed).await?;
    // Nobody reads through a policy that hides rows.
    let source = place.source_superuser.clone();
    for (into, query) in OF_SOURCE {
        copy(&source, query, &mut oracle, into).await?;
    }
    for (into, query) in OF_WAREHOUSE {
        copy(&place.loader, query, &mut oracle, into).await?;
    }
    copy(&place.loader, &format!("SELECT batch FROM {LEDGER}"), &mut oracle, "loaded.batch").await?;
    copy(&place.loader, &format!("SELECT target, reason FROM {WAITING}"), &mut oracle, "loaded.waiting").await?;
    let rows = "SELECT (SELECT count(*) FROM loaded.version) + (SELECT count(*) FROM truth.newest)
                     + (SELECT count(*) FROM truth.dim_staff) + (SELECT count(*) FROM truth.dim_product)
                     + (SELECT count(*) FROM truth.dim_channel) + (SELECT count(*) FROM loaded.dim_date)";
    site.tally.add("rows compared", sql::ask(&mut oracle, rows).await?.parse().context("a count")?);
    let changes = sql::ask(&mut oracle, "SELECT count(*) FROM truth.change").await?;
    site.tally.add("changes in the journal", changes.parse().context("a count")?);
    let versions = sql::ask(&mut oracle, "SELECT count(*) FROM loaded.version").await?;
    site.tally.add("versions", versions.parse().context("a count")?);
    sql::execute(&mut oracle, "ANALYZE").await?;
    let mut wrong = Vec::new();
    for question in QUESTIONS.iter().filter(|question| question.even_if_lossy || !known.lossy) {
        let asked = question.sql.replace("$early", &EARLY.to_string());
        let answers = sql::column(&mut oracle, &asked).await?;
        if !answers.is_empty() {
            wrong.push(format!(
                "{} ({} times)\n    {}",
                question.what,
                answers.len(),
                answers[..answers.len().min(3)].join("\n    ")
            ));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

async fn copy(from: &PgConnectOptions, query: &str, oracle: &mut PgConnection, into: &str) -> Result<()> {
    let mut from = from.connect().await.context("cannot connect")?;
    let mut rows = from.copy_out_raw(&format!("COPY ({query}) TO STDOUT")).await.with_context(|| query.to_owned())?;
    let mut copy = oracle.copy_in_raw(&format!("COPY {into} FROM STDIN")).await.with_context(|| into.to_owned())?;
    while let Some(row) = rows.try_next().await? {
        copy.send(&row[..]).await?;
    }
    copy.finish().await.with_context(|| into.to_owned()).map(|_| ())
}
