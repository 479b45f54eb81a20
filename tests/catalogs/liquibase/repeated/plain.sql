-- No header: the file is one changeset.
CREATE OR REPLACE FUNCTION bank.total(r text) RETURNS numeric LANGUAGE sql STABLE
    AS 'SELECT coalesce(sum(total), 0) FROM bank.balances WHERE region = r';
