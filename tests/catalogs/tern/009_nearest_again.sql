DROP VIEW {{.prefix}}_nearest, caves;
ALTER TABLE {{.prefix}}_places RENAME COLUMN at TO location;
ALTER TABLE {{.prefix}}_places ALTER COLUMN name TYPE varchar(200);
CREATE VIEW caves (id, name) AS SELECT id, name::text FROM {{.prefix}}_places WHERE kind = 'cave';
