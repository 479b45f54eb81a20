{{ template "shared/nearest.sql" . }}

---- create above / drop below ----

DROP VIEW {{.prefix}}_nearest;
