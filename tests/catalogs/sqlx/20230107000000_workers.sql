CREATE TYPE queue.heartbeat AS (host text, at timestamptz);
CREATE TABLE queue.workers (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    last queue.heartbeat,
    queues text[] NOT NULL DEFAULT ARRAY['default']
);
ALTER TABLE queue.jobs ADD COLUMN worker_id uuid REFERENCES queue.workers (id) ON DELETE SET NULL;
CREATE OR REPLACE FUNCTION queue.take(w uuid) RETURNS SETOF queue.jobs LANGUAGE sql AS $$
    UPDATE queue.jobs SET worker_id = w, attempts = attempts + 1
    WHERE id = (SELECT j.id FROM queue.jobs j JOIN queue.queues q ON q.name = j.queue
                WHERE j.worker_id IS NULL AND NOT q.paused ORDER BY priority DESC LIMIT 1 FOR UPDATE OF j SKIP LOCKED)
    RETURNING *
$$;
