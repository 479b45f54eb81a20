-- Doctors become staff; a view keeps the old name for those who still read it.
CREATE TABLE ${schema}.staff (id serial PRIMARY KEY, surname text NOT NULL, job text NOT NULL);
INSERT INTO ${schema}.staff (id, surname, job) SELECT id, surname, coalesce("Fachgebiet", 'doctor') FROM ${schema}.doctors;
SELECT setval(pg_get_serial_sequence('${schema}.staff', 'id'), (SELECT coalesce(max(id), 1) FROM ${schema}.staff));
ALTER TABLE ${schema}.visits DROP CONSTRAINT visits_doctor_id_fkey;
DROP TABLE ${schema}.doctors;
CREATE VIEW ${schema}.doctors AS SELECT id, surname FROM ${schema}.staff WHERE job = 'doctor';
ALTER TABLE ${schema}.visits RENAME COLUMN doctor_id TO staff_id;
ALTER TABLE ${schema}.visits ADD FOREIGN KEY (staff_id) REFERENCES ${schema}.staff (id);
