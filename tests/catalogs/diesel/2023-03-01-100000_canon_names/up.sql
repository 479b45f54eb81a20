CREATE FUNCTION canon_name(text) RETURNS text AS $$
    SELECT replace(lower($1), '-', '_')
$$ LANGUAGE sql IMMUTABLE;
CREATE UNIQUE INDEX index_packages_name ON packages (canon_name(name));
CREATE TABLE reserved_names (name text PRIMARY KEY);
INSERT INTO reserved_names (name) VALUES ('std'), ('core'), ('test');
CREATE FUNCTION ensure_not_reserved() RETURNS trigger AS $$
BEGIN
    IF canon_name(NEW.name) IN (SELECT canon_name(name) FROM reserved_names) THEN
        RAISE EXCEPTION 'cannot publish a reserved name';
    END IF;
    RETURN NEW;
END;
$$ LANGUAGE plpgsql;
CREATE TRIGGER trigger_ensure_not_reserved BEFORE INSERT OR UPDATE ON packages
    FOR EACH ROW EXECUTE PROCEDURE ensure_not_reserved();
