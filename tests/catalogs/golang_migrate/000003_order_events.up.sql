CREATE TABLE order_events (
    id bigserial PRIMARY KEY,
    order_id bigint NOT NULL REFERENCES orders (id),
    what text NOT NULL
);
-- The order points back at its last event: a cycle, which neither CREATE TABLE could have.
ALTER TABLE orders ADD COLUMN last_event_id bigint;
ALTER TABLE orders ADD CONSTRAINT orders_last_event FOREIGN KEY (last_event_id) REFERENCES order_events (id);
