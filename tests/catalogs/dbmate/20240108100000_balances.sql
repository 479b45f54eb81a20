-- migrate:up
CREATE MATERIALIZED VIEW books.balances AS
    SELECT currency, date_trunc('month', booked)::date AS month, sum(amount) AS total
    FROM books.entries GROUP BY 1, 2 WITH NO DATA;
CREATE UNIQUE INDEX balances_key ON books.balances (currency, month);
REFRESH MATERIALIZED VIEW books.balances;
CREATE VIEW books.euro AS SELECT month, total FROM books.balances WHERE currency = 'EUR';

-- migrate:down
SELECT 1;
