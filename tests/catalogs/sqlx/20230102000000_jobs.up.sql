CREATE SEQUENCE queue.job_ids START 1000 INCREMENT 10;
CREATE TABLE queue.jobs (
    id bigint PRIMARY KEY DEFAULT nextval('queue.job_ids'),
    queue text NOT NULL REFERENCES queue.queues (name) DEFAULT 'default',
    priority queue.priority NOT NULL,
    payload jsonb NOT NULL,
    attempts int NOT NULL DEFAULT 0
);
ALTER SEQUENCE queue.job_ids OWNED BY queue.jobs.id;
