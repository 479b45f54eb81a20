--liquibase formatted sql

--ignoreLines:start
--changeset ida:draft
CREATE TABLE bank.draft (not yet known);
--ignoreLines:end
--changeset ida:people labels:people
CREATE TABLE bank.people (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE bank.holders (
    account bigint REFERENCES bank.accounts,
    person int REFERENCES bank.people,
    PRIMARY KEY (account, person)
);
--rollback DROP TABLE bank.holders, bank.people;
--changeset ida:renamed
ALTER TABLE bank.people RENAME COLUMN name TO full_name;
ALTER TABLE bank.people RENAME TO persons;
COMMENT ON TABLE bank.persons IS 'Who holds accounts; -- not a comment';
--rollback not required
