DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
                   WHERE t.typname = 'aal' AND n.nspname = '{{ index .Options "Namespace" }}') THEN
        CREATE TYPE {{ index .Options "Namespace" }}.aal AS ENUM ('aal1', 'aal2');
    END IF;
END $$;
CREATE TABLE {{ index .Options "Namespace" }}.sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES {{ index .Options "Namespace" }}.users ON DELETE CASCADE,
    aal {{ index .Options "Namespace" }}.aal
);
