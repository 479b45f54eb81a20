CREATE VIEW waiting AS SELECT queue, count(*) AS jobs FROM queue.jobs WHERE worker_id IS NULL GROUP BY queue;
COMMENT ON VIEW waiting IS 'What''s waiting; per queue';
GRANT USAGE ON SCHEMA queue TO PUBLIC;
GRANT SELECT ON waiting TO PUBLIC;
