CREATE SCHEMA ${schema};
CREATE TABLE ${schema}.patients (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    surname text NOT NULL,
    born date NOT NULL CHECK (born > DATE '1900-01-01')
);
CREATE TABLE ${schema}.doctors (id serial PRIMARY KEY, surname text NOT NULL, "Fachgebiet" text);
