CREATE SCHEMA queue;
CREATE DOMAIN queue.priority AS smallint DEFAULT 5 CHECK (VALUE BETWEEN 0 AND 9);
CREATE TABLE queue.queues (name text PRIMARY KEY, paused boolean NOT NULL DEFAULT false);
INSERT INTO queue.queues (name) VALUES ('default'), ('mail');
