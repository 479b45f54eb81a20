CREATE TABLE packages (
    id serial PRIMARY KEY,
    name varchar NOT NULL UNIQUE,
    updated_at timestamp NOT NULL DEFAULT now(),
    downloads integer NOT NULL DEFAULT 0
);
SELECT manage_updated_at('packages');
CREATE TABLE versions (
    id serial PRIMARY KEY,
    package_id integer NOT NULL REFERENCES packages (id) ON DELETE CASCADE,
    num varchar NOT NULL,
    updated_at timestamp NOT NULL DEFAULT now(),
    UNIQUE (package_id, num)
);
SELECT manage_updated_at('versions');
