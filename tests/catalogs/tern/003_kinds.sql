CREATE TYPE address AS (street text, "Nr." text, city text);
CREATE TYPE kind AS ENUM ('town', 'peak', 'lake');
ALTER TABLE {{.prefix}}_places ADD COLUMN kind kind NOT NULL DEFAULT 'town', ADD COLUMN address address;
CREATE INDEX places_city ON {{.prefix}}_places (((address).city));

---- create above / drop below ----

SELECT 1;
