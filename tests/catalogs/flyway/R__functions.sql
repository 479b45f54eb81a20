CREATE OR REPLACE FUNCTION ${schema}.age_of(p bigint) RETURNS interval LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT age(born) FROM ${schema}.patients WHERE id = p;
    END;
