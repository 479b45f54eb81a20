CREATE TABLE IF NOT EXISTS orders (id text);
CREATE TABLE notes (id serial PRIMARY KEY, body text) WITH (fillfactor = 80);
ALTER TABLE notes ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN body SET STATISTICS 500;
CREATE STATISTICS orders_state (dependencies) ON account_id, state FROM orders;
