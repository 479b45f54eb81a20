DROP TABLE queue.jobs;
