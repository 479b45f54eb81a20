CREATE TABLE version_downloads (
    version_id integer NOT NULL REFERENCES versions (id) ON DELETE CASCADE,
    downloads integer NOT NULL DEFAULT 1,
    counted integer NOT NULL DEFAULT 0,
    date date NOT NULL DEFAULT CURRENT_DATE,
    PRIMARY KEY (version_id, date)
);
CREATE INDEX index_version_downloads_not_counted ON version_downloads (version_id) WHERE downloads <> counted;
