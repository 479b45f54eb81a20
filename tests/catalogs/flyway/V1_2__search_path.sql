-- From here on the schema is on the path: for this file only.
SET search_path TO ${schema}, public;
CREATE TABLE wards (id serial PRIMARY KEY, name text UNIQUE NOT NULL);
ALTER TABLE patients ADD COLUMN ward_id integer REFERENCES wards;
INSERT INTO wards (name) VALUES ('East'), ('West');
