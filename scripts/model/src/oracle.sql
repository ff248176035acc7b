-- A database of the oracle's own: the source as it stood at the end, the journal, and what was loaded. The functions below
-- are all the logic that there is.
CREATE SCHEMA truth;
CREATE SCHEMA loaded;
CREATE TABLE truth.department (department_id integer, department_name text, location text);
CREATE TABLE truth.staff (staff_id integer, first_name text, department_id integer);
CREATE TABLE truth.product (
    product_id integer, product_name text, maker text, kind text, price numeric, shelf text
);
CREATE TABLE truth.channel (channel_id integer, channel_name text);
CREATE TABLE truth.sale (
    sale_id integer, product_id integer, staff_id integer, channel_id integer, units integer, price numeric, note text,
    sold_on text, created_at timestamp, last_updated timestamp
);
CREATE TABLE truth.stock (product_id integer, place text, units integer, counted_at timestamp);
CREATE TABLE truth.change (id bigint, tab text, key text, txid xid8, gone boolean, row jsonb);
CREATE TABLE truth.run (batch text, began pg_snapshot, ended pg_snapshot);

CREATE TABLE loaded.dim_staff (staff_id integer, first_name text, department_name text, location text);
CREATE TABLE loaded.dim_product (
    product_id integer, product_name text, maker text, kind text, price numeric, shelf text
);
CREATE TABLE loaded.dim_channel (channel_id integer, channel_name text);
CREATE TABLE loaded.dim_date (date_id date, year integer, month integer, day integer, day_name text);
CREATE TABLE loaded.fact_sale (
    sale_record_id bigint, sale_id integer, product_id integer, staff_id integer, channel_id integer, units integer,
    price numeric, note text, sold_on date, created_date date, created_time time, last_updated_date date,
    last_updated_time time
);
CREATE TABLE loaded.fact_stock (
    stock_record_id bigint, product_id integer, place text, units integer, counted_date date, counted_time time
);
CREATE TABLE loaded.batch (batch text);
CREATE TABLE loaded.waiting (target text, reason text);
-- What the seed knows of itself: from which moment on versions may be insisted on, and what stands for NULL.
CREATE TABLE truth.seed (since text, lossy boolean, unknown text);

-- The star schema, said a second time.
CREATE FUNCTION truth.sale_of(r truth.sale) RETURNS jsonb LANGUAGE sql AS $$
    SELECT to_jsonb(x) FROM (SELECT r.sale_id, r.product_id, r.staff_id, r.channel_id, r.units, r.price, r.note,
        r.sold_on::date AS sold_on, r.created_at::date AS created_date, r.created_at::time AS created_time,
        r.last_updated::date AS last_updated_date, r.last_updated::time AS last_updated_time) AS x
$$;
CREATE FUNCTION truth.stock_of(r truth.stock) RETURNS jsonb LANGUAGE sql AS $$
    SELECT to_jsonb(x) FROM (SELECT r.product_id, r.place, r.units, r.counted_at::date AS counted_date,
        r.counted_at::time AS counted_time) AS x
$$;
CREATE VIEW truth.dim_staff AS
    SELECT s.staff_id, s.first_name, d.department_name, coalesce(d.location, 'Unknown') AS location
      FROM truth.staff AS s LEFT JOIN truth.department AS d USING (department_id);
CREATE VIEW truth.dim_product AS
    SELECT product_id, product_name, maker, kind, price, coalesce(shelf, (SELECT unknown FROM truth.seed)) AS shelf
      FROM truth.product;
CREATE VIEW truth.dim_channel AS SELECT channel_id, coalesce(channel_name, 'Unknown') AS channel_name FROM truth.channel;

-- What stands at the end, the versions that were loaded, and the contents that were committed: of both facts alike.
CREATE VIEW truth.newest AS
    SELECT 'sale' AS tab, r.sale_id::text AS key, truth.sale_of(r) AS content FROM truth.sale AS r
    UNION ALL SELECT 'stock', r.product_id || '/' || r.place, truth.stock_of(r) FROM truth.stock AS r;
CREATE VIEW loaded.version AS
    SELECT 'sale' AS tab, f.sale_id::text AS key, f.sale_record_id AS number, to_jsonb(f) - 'sale_record_id' AS content
      FROM loaded.fact_sale AS f
    UNION ALL SELECT 'stock', f.product_id || '/' || f.place, f.stock_record_id, to_jsonb(f) - 'stock_record_id'
      FROM loaded.fact_stock AS f;
-- Of what one transaction did to a row only the last can ever be seen. A row's lock is held to the end of a transaction, so
-- the order of the journal is, key by key, the order of the commits.
CREATE VIEW truth.content AS
    SELECT DISTINCT ON (c.tab, c.key, c.txid) c.id, c.tab, c.key, c.txid, c.gone,
           CASE c.tab WHEN 'sale' THEN truth.sale_of(jsonb_populate_record(NULL::truth.sale, c.row))
                      ELSE truth.stock_of(jsonb_populate_record(NULL::truth.stock, c.row)) END AS content
      FROM truth.change AS c WHERE c.tab IN ('sale', 'stock')
     ORDER BY c.tab, c.key, c.txid, c.id DESC;

-- Products that were gone for a while, by more than one transaction: of a sale that refers to one no version is insisted on,
-- as a version that is deferred for it may be overtaken by a newer one.
CREATE VIEW truth.absent AS
    SELECT DISTINCT key FROM (SELECT DISTINCT ON (key, txid) key, gone FROM truth.change WHERE tab = 'product'
                               ORDER BY key, txid, id DESC) AS last WHERE gone;

-- Whether the one is what is left of the other when some of it is left out.
CREATE FUNCTION truth.is_within(part jsonb[], whole jsonb[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE at integer := 1; one jsonb;
BEGIN
    FOREACH one IN ARRAY coalesce(whole, '{}') LOOP
        IF at <= coalesce(cardinality(part), 0) AND part[at] = one THEN at := at + 1; END IF;
    END LOOP;
    RETURN at > coalesce(cardinality(part), 0);
END $$;
