ALTER TABLE queue.jobs ADD COLUMN unique_key text;
CREATE UNIQUE INDEX jobs_unique_key ON queue.jobs (queue, unique_key) WHERE unique_key IS NOT NULL;
ALTER TABLE queue.jobs ADD CONSTRAINT attempts_small CHECK (attempts < 100) NOT VALID;
ALTER TABLE queue.jobs VALIDATE CONSTRAINT attempts_small;
