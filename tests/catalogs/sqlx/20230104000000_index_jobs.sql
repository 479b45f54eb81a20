-- no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_by_priority ON queue.jobs (queue, priority DESC, id);
