--liquibase formatted sql
--property name:key value:bigserial dbms:postgresql

--changeset ida:branches
--comment Where the bank is.
CREATE SCHEMA bank;
CREATE TABLE bank.branches (
    id ${key} PRIMARY KEY,
    region text NOT NULL DEFAULT '${region}',
    hours text NOT NULL DEFAULT '${opens}-${closes}'
);
INSERT INTO bank.branches (region) VALUES ('${region}'), ('south');
--rollback DROP SCHEMA bank CASCADE;

--changeset ida:branches dbms:oracle logicalFilePath:oracle.sql
CREATE TABLE branches (id number(19) PRIMARY KEY);

--changeset ida:accounts
CREATE TYPE bank.kind AS ENUM ('giro', 'savings');
CREATE TABLE bank.accounts (
    number ${key},
    branch bigint NOT NULL REFERENCES bank.branches,
    kind bank.kind NOT NULL DEFAULT 'giro',
    balance ${money} NOT NULL DEFAULT 0,
    CONSTRAINT accounts_pkey PRIMARY KEY (number)
);
/* liquibase rollback
DROP TABLE bank.accounts;
DROP TYPE bank.kind;
*/
GRANT USAGE ON SCHEMA bank TO teller;
GRANT SELECT ON ALL TABLES IN SCHEMA bank TO teller;

--changeset olle:moves splitStatements:false
--preconditions onFail:MARK_RAN
--precondition-sql-check expectedResult:0 SELECT count(*) FROM pg_tables WHERE tablename = 'moves'
CREATE TABLE bank.moves (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account bigint NOT NULL REFERENCES bank.accounts ON DELETE RESTRICT,
    amount numeric(14,2) NOT NULL CHECK (amount <> 0),
    at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION bank.book() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE bank.accounts SET balance = balance + NEW.amount WHERE number = NEW.account;
    -- rollback is not meant for the line that follows
    RETURN NEW;
END $$;
CREATE TRIGGER book AFTER INSERT ON bank.moves FOR EACH ROW EXECUTE FUNCTION bank.book();
--rollback DROP TABLE bank.moves;
--rollback DROP FUNCTION bank.book();
