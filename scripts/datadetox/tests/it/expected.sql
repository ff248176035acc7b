-- What the warehouse has to hold, said a second time in SQL over a copy of the source (schema "truth"): one view a target,
-- with the target's columns. Written from the client's schemas, not from the catalogue.
CREATE VIEW truth.dim_counterparty AS
SELECT c.counterparty_id, c.counterparty_legal_name, a.address_line_1 AS counterparty_legal_address_line_1,
       a.address_line_2 AS counterparty_legal_address_line_2, a.district AS counterparty_legal_district,
       a.city AS counterparty_legal_city, a.postal_code AS counterparty_legal_postal_code,
       a.country AS counterparty_legal_country, a.phone AS counterparty_legal_phone_number
  FROM truth.counterparty AS c JOIN truth.address AS a ON a.address_id = c.legal_address_id;

CREATE VIEW truth.dim_currency AS
SELECT currency_id, currency_code,
       CASE currency_code WHEN 'GBP' THEN 'Pound sterling' WHEN 'USD' THEN 'United States dollar' WHEN 'EUR' THEN 'Euro' END
       AS currency_name
  FROM truth.currency;

CREATE VIEW truth.dim_design AS SELECT design_id, design_name, file_location, file_name FROM truth.design;

CREATE VIEW truth.dim_location AS
SELECT address_id AS location_id, address_line_1, address_line_2, district, city, postal_code, country, phone
  FROM truth.address;

CREATE VIEW truth.dim_payment_type AS
SELECT payment_type_id, payment_type_name::text AS payment_type_name FROM truth.payment_type;

CREATE VIEW truth.dim_staff AS
SELECT s.staff_id, s.first_name, s.last_name, d.department_name, coalesce(d.location, 'Unknown') AS location, s.email_address
  FROM truth.staff AS s JOIN truth.department AS d USING (department_id);

CREATE VIEW truth.dim_transaction AS
SELECT transaction_id, transaction_type::text AS transaction_type, sales_order_id, purchase_order_id
  FROM truth.transaction;

CREATE VIEW truth.fact_sales_order AS
SELECT sales_order_id, created_at::date AS created_date, created_at::time AS created_time,
       last_updated::date AS last_updated_date, last_updated::time AS last_updated_time, staff_id AS sales_staff_id,
       counterparty_id, units_sold, unit_price, currency_id, design_id, agreed_payment_date::date AS agreed_payment_date,
       agreed_delivery_date::date AS agreed_delivery_date, agreed_delivery_location_id
  FROM truth.sales_order;

CREATE VIEW truth.fact_purchase_order AS
SELECT purchase_order_id, created_at::date AS created_date, created_at::time AS created_time,
       last_updated::date AS last_updated_date, last_updated::time AS last_updated_time, staff_id, counterparty_id,
       item_code, item_quantity, item_unit_price, currency_id, agreed_delivery_date::date AS agreed_delivery_date,
       agreed_payment_date::date AS agreed_payment_date, agreed_delivery_location_id
  FROM truth.purchase_order;

CREATE VIEW truth.fact_payment AS
SELECT payment_id, created_at::date AS created_date, created_at::time AS created_time,
       last_updated::date AS last_updated_date, last_updated::time AS last_updated_time, transaction_id, counterparty_id,
       payment_amount, currency_id, payment_type_id, paid, payment_date::date AS payment_date
  FROM truth.payment;

-- Every day that any fact in the warehouse uses, and what Postgres' own calendar says of it.
CREATE VIEW truth.dim_date AS
SELECT day AS date_id, extract(year FROM day)::int AS year, extract(month FROM day)::int AS month,
       extract(day FROM day)::int AS day, extract(isodow FROM day)::int AS day_of_week, to_char(day, 'FMDay') AS day_name,
       to_char(day, 'FMMonth') AS month_name, extract(quarter FROM day)::int AS quarter
  FROM (SELECT unnest(ARRAY[created_date, last_updated_date, agreed_payment_date, agreed_delivery_date])
          FROM fact_sales_order
        UNION
        SELECT unnest(ARRAY[created_date, last_updated_date, agreed_payment_date, agreed_delivery_date])
          FROM fact_purchase_order
        UNION
        SELECT unnest(ARRAY[created_date, last_updated_date, payment_date]) FROM fact_payment) AS used (day);
