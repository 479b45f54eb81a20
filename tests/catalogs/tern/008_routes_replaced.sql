DROP TABLE routes;
ALTER TABLE "Routes" RENAME TO routes;
ALTER TABLE routes ADD FOREIGN KEY (origin) REFERENCES {{.prefix}}_places, ADD COLUMN via integer[];
CREATE TABLE "Routes" (id integer);
