-- A column becomes a table of its own, and a trigger keeps a row for each package.
CREATE TABLE package_downloads (
    package_id integer PRIMARY KEY REFERENCES packages (id) ON DELETE CASCADE,
    downloads bigint NOT NULL DEFAULT 0
);
INSERT INTO package_downloads (package_id, downloads) SELECT id, downloads FROM packages;
CREATE FUNCTION insert_package_downloads() RETURNS trigger AS $$
BEGIN
    INSERT INTO package_downloads (package_id) VALUES (NEW.id);
    RETURN NEW;
END;
$$ LANGUAGE plpgsql;
CREATE TRIGGER insert_package_downloads AFTER INSERT ON packages
    FOR EACH ROW EXECUTE FUNCTION insert_package_downloads();
ALTER TABLE packages DROP COLUMN downloads;
