CREATE TABLE routes (
    origin integer NOT NULL REFERENCES {{.prefix}}_places,
    target integer NOT NULL REFERENCES {{.prefix}}_places,
    "km" numeric NOT NULL,
    PRIMARY KEY (origin, target),
    CHECK (origin <> target)
);
CREATE TABLE "Routes" (LIKE routes INCLUDING INDEXES INCLUDING COMMENTS);
COMMENT ON TABLE "Routes" IS 'not routes';
CREATE FUNCTION reach(start integer) RETURNS TABLE (id integer) LANGUAGE sql STABLE AS $$
    WITH RECURSIVE r AS (
        SELECT target FROM routes WHERE origin = $1
        UNION SELECT t.target FROM routes t JOIN r ON t.origin = r.target
    )
    SELECT target FROM r
$$;

---- create above / drop below ----

SELECT 1;
