---- tern: disable-tx ----
ALTER TYPE kind ADD VALUE 'cave';
CREATE INDEX CONCURRENTLY places_kind ON {{.prefix}}_places (kind, name);

---- create above / drop below ----

DROP INDEX CONCURRENTLY places_kind;
