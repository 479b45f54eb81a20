CREATE TABLE orders (
    id bigserial PRIMARY KEY,
    customer bigint NOT NULL REFERENCES customers,
    placed timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_customer ON orders (customer);
