DROP TABLE default_versions;
