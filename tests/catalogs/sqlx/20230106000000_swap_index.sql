-- no-transaction
DROP INDEX CONCURRENTLY IF EXISTS queue.jobs_by_priority;
CREATE INDEX CONCURRENTLY jobs_by_priority ON queue.jobs (queue, priority DESC, id) WHERE attempts < 25;
