DO $$ BEGIN
    CREATE TYPE {{ index .Options "Namespace" }}.one_time AS ENUM ('confirm', 'recover');
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
DO $$ BEGIN
    CREATE TABLE IF NOT EXISTS {{ index .Options "Namespace" }}.one_time_tokens (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES {{ index .Options "Namespace" }}.users ON DELETE CASCADE,
        kind {{ index .Options "Namespace" }}.one_time NOT NULL
    );
    BEGIN
        CREATE INDEX one_time_tokens_hash ON {{ index .Options "Namespace" }}.one_time_tokens USING hash (kind);
    EXCEPTION WHEN others THEN
        CREATE INDEX one_time_tokens_btree ON {{ index .Options "Namespace" }}.one_time_tokens (kind);
    END;
END $$;
