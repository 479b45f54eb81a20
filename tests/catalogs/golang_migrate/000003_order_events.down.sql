ALTER TABLE orders DROP COLUMN last_event_id; DROP TABLE order_events;
