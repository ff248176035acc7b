-- The shop's tables, and a journal that triggers keep: what every transaction left of every row.
CREATE SCHEMA journal;
CREATE TABLE journal.change (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tab text NOT NULL,
    key text NOT NULL,
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    gone boolean NOT NULL,
    row jsonb NOT NULL
);
-- What could be seen when a run that committed began, and when it had ended.
CREATE TABLE journal.run (batch text PRIMARY KEY, began pg_snapshot NOT NULL, ended pg_snapshot);

-- The key of a row: the values of the named columns.
CREATE FUNCTION journal.key(tab text, r jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE tab WHEN 'stock' THEN (r ->> 'product_id') || '/' || (r ->> 'place') ELSE r ->> (tab || '_id') END
$$;
CREATE FUNCTION journal.note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE r jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
BEGIN
    INSERT INTO journal.change (tab, key, gone, row)
    VALUES (TG_ARGV[0], journal.key(TG_ARGV[0], r), TG_OP = 'DELETE', r);
    RETURN NULL;
END $$;
-- What a statement that fires no trigger left: the rows that are there now, and those that are no longer.
CREATE FUNCTION journal.note_all(of text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO journal.change (tab, key, gone, row)
                    SELECT DISTINCT ON (c.key) c.tab, c.key, true, c.row FROM journal.change AS c
                     WHERE c.tab = %L AND NOT EXISTS (SELECT FROM %I AS t WHERE journal.key(%L, to_jsonb(t)) = c.key)
                     ORDER BY c.key, c.id DESC', of, of, of);
    EXECUTE format('INSERT INTO journal.change (tab, key, gone, row)
                    SELECT %L, journal.key(%L, to_jsonb(t)), false, to_jsonb(t) FROM %I AS t', of, of, of);
END $$;

CREATE TYPE kind AS ENUM ('toy', 'tool', 'book');
CREATE TABLE department (department_id integer PRIMARY KEY, department_name text NOT NULL, location text);
CREATE TABLE staff (
    staff_id integer PRIMARY KEY, first_name text NOT NULL, department_id integer NOT NULL,
    last_updated timestamp(3) NOT NULL DEFAULT now()
);
CREATE TABLE product (
    product_id integer PRIMARY KEY, product_name text NOT NULL, maker text NOT NULL, kind kind NOT NULL,
    price numeric(10,2) NOT NULL, shelf text, last_updated timestamp(3) NOT NULL DEFAULT now()
);
CREATE TABLE channel_first (channel_id integer PRIMARY KEY, channel_name text);
CREATE VIEW channel AS SELECT channel_id, channel_name FROM channel_first;
CREATE TABLE sale (
    sale_id integer PRIMARY KEY, product_id integer NOT NULL, staff_id integer NOT NULL, channel_id integer NOT NULL,
    units integer NOT NULL, price numeric(10,2) NOT NULL, note text, sold_on text NOT NULL,
    created_at timestamp(3) NOT NULL, last_updated timestamp(3) NOT NULL
);
CREATE TABLE stock (
    product_id integer NOT NULL, place text NOT NULL, units integer NOT NULL, counted_at timestamp(3) NOT NULL,
    PRIMARY KEY (product_id, place)
) PARTITION BY RANGE (product_id);
CREATE TABLE stock_low PARTITION OF stock FOR VALUES FROM (0) TO (500000);

CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON department FOR EACH ROW EXECUTE FUNCTION journal.note('department');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON staff FOR EACH ROW EXECUTE FUNCTION journal.note('staff');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON product FOR EACH ROW EXECUTE FUNCTION journal.note('product');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON channel_first FOR EACH ROW EXECUTE FUNCTION journal.note('channel');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON sale FOR EACH ROW EXECUTE FUNCTION journal.note('sale');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON stock FOR EACH ROW EXECUTE FUNCTION journal.note('stock');

INSERT INTO department SELECT n, 'Department ' || n, CASE WHEN n % 2 = 0 THEN 'Leeds' END FROM generate_series(1, 4) AS n;
INSERT INTO staff SELECT n, 'Name ' || n, 1 + n % 4 FROM generate_series(1, 12) AS n;
INSERT INTO product SELECT n, 'Product ' || n, 'Maker ' || n % 7, (enum_range(NULL::kind))[1 + n % 3], n * 1.5,
       CASE WHEN n % 4 = 0 THEN 'shelf ' || n END
  FROM generate_series(1, 40) AS n;
INSERT INTO channel_first SELECT n, CASE WHEN n < 4 THEN 'Channel ' || n END FROM generate_series(1, 4) AS n;
INSERT INTO sale
SELECT n, 1 + n % 40, 1 + n % 12, 1 + n % 4, n % 9, n * 0.25, CASE WHEN n % 3 = 0 THEN 'note ' || n END,
       ('2024-01-01'::date + n % 300)::text, '2024-01-01'::timestamp + n * interval '7 hours 1.234 seconds',
       '2024-01-01'::timestamp + n * interval '7 hours 1.234 seconds'
  FROM generate_series(1, 300) AS n;
INSERT INTO stock
SELECT 1 + n % 40, 'place ' || n / 40, n % 11, '2024-02-01'::timestamp + n * interval '1 minute'
  FROM generate_series(0, 119) AS n;
