-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY archive_amount ON public.archive_2023 (amount DESC);
-- migrate:down transaction:false
DROP INDEX CONCURRENTLY archive_amount;

-- migrate:up
CREATE TABLE books.periods (id serial PRIMARY KEY, span daterange NOT NULL, closed boolean NOT NULL DEFAULT false);
ALTER TABLE books.periods ADD CONSTRAINT no_overlap EXCLUDE USING gist (span WITH &&);
-- migrate:down
DROP TABLE books.periods;
