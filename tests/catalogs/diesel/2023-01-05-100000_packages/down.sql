DROP TABLE versions; DROP TABLE packages;
