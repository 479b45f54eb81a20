DROP TABLE accounts; DROP TYPE order_state;
