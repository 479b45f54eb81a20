CREATE TABLE accounts (
    id bigserial PRIMARY KEY,
    email text NOT NULL,
    name text
);
CREATE UNIQUE INDEX accounts_email ON accounts (lower(email));
CREATE TYPE order_state AS ENUM ('new', 'paid');
