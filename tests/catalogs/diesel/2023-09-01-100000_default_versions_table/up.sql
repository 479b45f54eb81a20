-- A view becomes a table of the same name.
DROP VIEW default_versions;
CREATE TABLE default_versions (
    package_id integer PRIMARY KEY REFERENCES packages (id) ON DELETE CASCADE,
    version_id integer NOT NULL UNIQUE REFERENCES versions (id) ON DELETE NO ACTION DEFERRABLE INITIALLY DEFERRED
);
COMMENT ON COLUMN default_versions.version_id IS 'the version that is shown first';
