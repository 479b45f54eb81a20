CREATE TABLE {{.prefix}}_places (id serial PRIMARY KEY, name text NOT NULL, at point NOT NULL);
CREATE INDEX ON {{.prefix}}_places USING gist (at);

---- create above / drop below ----

DROP TABLE {{.prefix}}_places;
