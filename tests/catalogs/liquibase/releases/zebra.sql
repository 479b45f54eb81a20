--liquibase formatted sql

--changeset ida:"an index, made while the bank is open" runInTransaction:false
CREATE INDEX CONCURRENTLY moves_by_account ON bank.moves (account, at DESC);
CREATE UNIQUE INDEX CONCURRENTLY one_giro ON bank.accounts (branch) WHERE kind = 'giro';
--rollback DROP INDEX CONCURRENTLY bank.moves_by_account;

--changeset olle:kinds endDelimiter:/
ALTER TABLE bank.accounts ALTER COLUMN kind DROP DEFAULT
/
DROP INDEX bank.one_giro
/
ALTER TYPE bank.kind RENAME TO old_kind
/
CREATE TYPE bank.kind AS ENUM ('giro', 'savings', 'loan')
/
ALTER TABLE bank.accounts ALTER COLUMN kind TYPE bank.kind USING kind::text::bank.kind
/
ALTER TABLE bank.accounts ALTER COLUMN kind SET DEFAULT 'giro'
/
DROP TYPE bank.old_kind
/

--changeset olle:sample context:test
INSERT INTO bank.accounts (branch, kind) SELECT id, 'savings' FROM bank.branches;

--changeset olle:later context:@later
SELECT 1 / 0;
