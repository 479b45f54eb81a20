ALTER TABLE {{ index .Options "Namespace" }}.users ADD COLUMN is_sso boolean NOT NULL DEFAULT false;
ALTER TABLE {{ index .Options "Namespace" }}.users DROP CONSTRAINT IF EXISTS users_email_key;
CREATE UNIQUE INDEX users_email_partial_key ON {{ index .Options "Namespace" }}.users (email) WHERE NOT is_sso;
COMMENT ON INDEX {{ index .Options "Namespace" }}.users_email_partial_key IS 'e-mail is unique but for SSO';
