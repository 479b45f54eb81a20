-- migrate:up
CREATE TABLE books.entries (
    id bigint NOT NULL,
    booked date NOT NULL,
    amount numeric(18, 4) NOT NULL,
    PRIMARY KEY (booked, id)
) PARTITION BY RANGE (booked);
CREATE TABLE books.entries_2023 PARTITION OF books.entries FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE books.entries_rest PARTITION OF books.entries DEFAULT;
CREATE INDEX entries_amount ON books.entries (amount);

-- migrate:down
DROP TABLE books.entries;
