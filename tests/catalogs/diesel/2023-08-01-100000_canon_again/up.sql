-- The function changes its signature, and the index that calls it goes with it.
DROP FUNCTION canon_name(text) CASCADE;
CREATE FUNCTION canon_name(name varchar, fold boolean DEFAULT true) RETURNS text AS $$
    SELECT replace(CASE WHEN fold THEN lower(name) ELSE name END, '-', '_')
$$ LANGUAGE sql IMMUTABLE;
CREATE UNIQUE INDEX index_packages_name ON packages (canon_name(name));
