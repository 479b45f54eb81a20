CREATE TABLE customers (id bigserial PRIMARY KEY, name text NOT NULL);
CREATE TABLE countries (code text PRIMARY KEY);
INSERT INTO countries VALUES ('at'), ('ch');
