-- a template: the schema is given when the migrations are run
CREATE TABLE IF NOT EXISTS {{ index .Options "Namespace" }}.users (
    id uuid NOT NULL UNIQUE,
    email varchar(255) NULL UNIQUE,
    CONSTRAINT users_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE {{ index .Options "Namespace" }}.users IS 'Stores user login data within {{ index .Options "Namespace" }}.';
CREATE TABLE IF NOT EXISTS {{ index .Options "Namespace" }}.tokens (
    id bigserial PRIMARY KEY,
    user_id varchar(255) NULL,
    token varchar(255) NULL
);
