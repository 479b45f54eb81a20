CREATE TABLE queue.archive (LIKE queue.jobs INCLUDING DEFAULTS INCLUDING CONSTRAINTS, finished_at timestamptz);
CREATE RULE archive_is_kept AS ON DELETE TO queue.archive DO INSTEAD NOTHING;
ALTER TABLE queue.archive SET UNLOGGED;
