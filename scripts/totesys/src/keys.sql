-- The foreign keys of totesys, and serials that go on after the rows that were copied in.
ALTER TABLE counterparty ADD FOREIGN KEY (legal_address_id) REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE staff ADD FOREIGN KEY (department_id) REFERENCES department ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE sales_order
    ADD FOREIGN KEY (design_id) REFERENCES design ON UPDATE CASCADE ON DELETE RESTRICT,
    ADD FOREIGN KEY (staff_id) REFERENCES staff ON UPDATE CASCADE ON DELETE RESTRICT,
    ADD FOREIGN KEY (counterparty_id) REFERENCES counterparty ON UPDATE CASCADE ON DELETE RESTRICT,
    ADD FOREIGN KEY (currency_id) REFERENCES currency ON UPDATE CASCADE ON DELETE RESTRICT,
    ADD FOREIGN KEY (agreed_delivery_location_id) REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE purchase_order
    ADD FOREIGN KEY (staff_id) REFERENCES staff ON UPDATE CASCADE ON DELETE RESTRICT,
    ADD FOREIGN KEY (counterparty_id) REFERENCES counterparty ON UPDATE CASCADE ON DELETE RESTRICT,
    ADD FOREIGN KEY (currency_id) REFERENCES currency ON UPDATE CASCADE ON DELETE RESTRICT,
    ADD FOREIGN KEY (agreed_delivery_location_id) REFERENCES address ON UPDATE CASCADE ON DELETE RESTRICT;
ALTER TABLE transaction
    ADD UNIQUE (sales_order_id),
    ADD UNIQUE (purchase_order_id),
    ADD FOREIGN KEY (sales_order_id) REFERENCES sales_order ON UPDATE CASCADE ON DELETE SET NULL,
    ADD FOREIGN KEY (purchase_order_id) REFERENCES purchase_order ON UPDATE CASCADE ON DELETE SET NULL;
ALTER TABLE payment
    ADD UNIQUE (transaction_id),
    ADD FOREIGN KEY (transaction_id) REFERENCES transaction ON UPDATE CASCADE ON DELETE RESTRICT,
    ADD FOREIGN KEY (counterparty_id) REFERENCES counterparty ON UPDATE CASCADE ON DELETE RESTRICT,
    ADD FOREIGN KEY (currency_id) REFERENCES currency ON UPDATE CASCADE ON DELETE RESTRICT,
    ADD FOREIGN KEY (payment_type_id) REFERENCES payment_type ON UPDATE CASCADE ON DELETE RESTRICT;

SELECT setval('address_address_id_seq', (SELECT max(address_id) FROM address)),
       setval('counterparty_counterparty_id_seq', (SELECT max(counterparty_id) FROM counterparty)),
       setval('currency_currency_id_seq', (SELECT max(currency_id) FROM currency)),
       setval('department_department_id_seq', (SELECT max(department_id) FROM department)),
       setval('design_design_id_seq', (SELECT max(design_id) FROM design)),
       setval('staff_staff_id_seq', (SELECT max(staff_id) FROM staff)),
       setval('payment_type_payment_type_id_seq', (SELECT max(payment_type_id) FROM payment_type)),
       setval('sales_order_sales_order_id_seq', (SELECT max(sales_order_id) FROM sales_order)),
       setval('purchase_order_purchase_order_id_seq', (SELECT max(purchase_order_id) FROM purchase_order)),
       setval('transaction_transaction_id_seq', (SELECT max(transaction_id) FROM transaction)),
       setval('payment_payment_id_seq', (SELECT max(payment_id) FROM payment));
