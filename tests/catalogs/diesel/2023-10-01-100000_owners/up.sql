CREATE TABLE users (id serial PRIMARY KEY, login text NOT NULL);
CREATE TABLE teams (id serial PRIMARY KEY, login text NOT NULL);
CREATE TABLE package_owners (
    package_id integer NOT NULL REFERENCES packages (id),
    owner_id integer NOT NULL,
    owner_kind integer NOT NULL,
    PRIMARY KEY (package_id, owner_id, owner_kind)
);
CREATE FUNCTION owner_login(kind integer, id integer) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE kind WHEN 0 THEN (SELECT login FROM users u WHERE u.id = $2)
                     ELSE (SELECT login FROM teams t WHERE t.id = $2) END
$$;
CREATE VIEW owners AS SELECT package_id, owner_login(owner_kind, owner_id) AS login FROM package_owners;
