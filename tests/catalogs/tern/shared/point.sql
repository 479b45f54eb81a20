CREATE OR REPLACE FUNCTION {{.prefix}}_distance(a point, b point) RETURNS double precision
LANGUAGE sql IMMUTABLE AS $$
    SELECT a <-> b
$$;
