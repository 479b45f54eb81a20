CREATE TABLE dependencies (
    id serial PRIMARY KEY,
    version_id integer NOT NULL REFERENCES versions (id),
    package_id integer NOT NULL REFERENCES packages (id),
    req varchar NOT NULL,
    features text[] NOT NULL DEFAULT '{}'
);
CREATE VIEW default_versions AS
    SELECT DISTINCT ON (package_id) package_id, id AS version_id FROM versions ORDER BY package_id, id DESC;
