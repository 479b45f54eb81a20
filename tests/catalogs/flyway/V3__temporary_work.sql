CREATE TEMPORARY TABLE busy ON COMMIT DROP AS SELECT staff_id, count(*) AS n FROM ${schema}.visits GROUP BY 1;
ALTER TABLE ${schema}.staff ADD COLUMN visits integer NOT NULL DEFAULT 0;
UPDATE ${schema}.staff s SET visits = b.n FROM busy b WHERE b.staff_id = s.id;
