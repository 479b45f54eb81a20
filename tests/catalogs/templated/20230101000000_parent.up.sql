ALTER TABLE {{ index .Options "Namespace" }}.tokens ADD COLUMN IF NOT EXISTS parent varchar(255) NULL;
CREATE UNIQUE INDEX IF NOT EXISTS tokens_token ON {{ index .Options "Namespace" }}.tokens USING btree (token);
