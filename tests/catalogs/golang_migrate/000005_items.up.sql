CREATE TABLE items (
    order_id bigint NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    line integer NOT NULL,
    category_id integer REFERENCES categories (id),
    price numeric(12, 2) NOT NULL CHECK (price >= 0),
    quantity integer NOT NULL DEFAULT 1,
    total numeric(14, 2) GENERATED ALWAYS AS (price * quantity) STORED,
    PRIMARY KEY (order_id, line)
);
CREATE VIEW order_totals AS SELECT order_id, sum(total) AS total FROM items GROUP BY order_id;
CREATE VIEW account_totals AS
    SELECT o.account_id, sum(t.total) AS total FROM orders o JOIN order_totals t ON t.order_id = o.id GROUP BY 1;
