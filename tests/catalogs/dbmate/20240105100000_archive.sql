-- migrate:up
ALTER TABLE books.entries DETACH PARTITION books.entries_2023;
ALTER TABLE books.entries_2023 RENAME TO archive_2023;
ALTER TABLE books.archive_2023 SET SCHEMA public;
CREATE TABLE books.entries_2022 (LIKE books.entries INCLUDING ALL);
ALTER TABLE books.entries_2022 ADD CHECK (booked >= '2022-01-01' AND booked < '2023-01-01');
ALTER TABLE books.entries ATTACH PARTITION books.entries_2022 FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');

-- migrate:down
SELECT 1;
