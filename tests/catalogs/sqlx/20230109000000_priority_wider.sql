-- The domain is replaced: its columns move over to the new one, then the names change places.
CREATE DOMAIN queue.priority2 AS integer DEFAULT 50 CHECK (VALUE BETWEEN 0 AND 99);
DROP INDEX queue.jobs_by_priority;
ALTER TABLE queue.jobs ALTER COLUMN priority TYPE queue.priority2 USING priority * 10;
ALTER TABLE queue.archive ALTER COLUMN priority TYPE queue.priority2 USING priority * 10;
DROP DOMAIN queue.priority;
ALTER DOMAIN queue.priority2 RENAME TO priority;
CREATE INDEX jobs_by_priority ON queue.jobs (queue, priority DESC, id);
