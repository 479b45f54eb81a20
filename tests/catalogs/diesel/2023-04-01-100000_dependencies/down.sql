DROP VIEW default_versions; DROP TABLE dependencies;
