ALTER TABLE accounts RENAME TO customers;
ALTER TABLE customers RENAME COLUMN name TO full_name;
ALTER INDEX accounts_email RENAME TO customers_email;
ALTER SEQUENCE accounts_id_seq RENAME TO customers_id_seq;
ALTER TABLE orders RENAME CONSTRAINT orders_account_id_fkey TO orders_customer;
