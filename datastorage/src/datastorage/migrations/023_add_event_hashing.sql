-- Tampering shows. Every event carries the SHA-256 of its canonical row, and every statement that inserts events
-- appends one link to a chain: SHA-256 over the link before it and over the hashes of its events. An event that was
-- changed no longer has its hash; one that was removed, added or exchanged no longer fits its link; a link that was
-- changed no longer fits the next. `datastorage verify-chain` recomputes all of it.
--
-- One chain would make every writer wait for the one before it to commit. So there are 16 chains, called lanes: a
-- writer takes one that is free, for its transaction. A batch of a thousand events costs one link, not a thousand.

-- +goose Up

-- The canonical row: PostgreSQL's text form of a ROW of all columns, which tells NULL from '' and quotes what needs
-- quoting; times as microseconds, since the text of a time depends on the session. Built-in sha256(), no
-- extension; PL/pgSQL, since an expression it evaluates itself costs half of what a call of an SQL function does.
-- +goose StatementBegin
CREATE FUNCTION audit_event_hash(e audit_events) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN sha256(convert_to(ROW(
        e.event_id, e.event_version,
        extract(epoch FROM e.event_timestamp AT TIME ZONE 'UTC'),
        e.event_type, e.event_category, e.event_action, e.event_outcome,
        e.actor_type, e.actor_id, e.actor_ip,
        e.resource_type, e.resource_id, e.resource_name,
        e.correlation_id, e.parent_event_id, e.parent_event_date - date '2000-01-01',
        e.trace_id, e.span_id, e.namespace, e.cluster_name,
        e.event_data, e.event_metadata, e.severity, e.duration_ms,
        e.error_code, e.error_message, e.retention_days, e.is_sensitive
    )::text, 'UTF8'));
END;
$$;
-- +goose StatementEnd

CREATE TABLE audit_event_chain (
    lane          smallint NOT NULL,
    position      bigint NOT NULL,
    event_ids     uuid[] NOT NULL,
    first_date    date NOT NULL,
    last_date     date NOT NULL,
    events_hash   bytea NOT NULL,
    previous_hash bytea NOT NULL,
    link_hash     bytea NOT NULL,
    linked_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_event_chain_pkey PRIMARY KEY (lane, position)
);

COMMENT ON TABLE audit_event_chain IS 'One row per statement that inserted audit events, chained by hash within a lane';

-- event_ids are in ascending order, and events_hash is over the events' hashes in that order. A lane starts from
-- the empty hash. What a link says outlives the events: retention drops months, the chain still stands.
-- +goose StatementBegin
CREATE FUNCTION audit_chain_link_hash(
    previous_hash bytea, events_hash bytea, lane smallint, link_position bigint, event_ids uuid[]
) RETURNS bytea
LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(previous_hash || events_hash || int2send(lane) || int8send(link_position) || array_send(event_ids))
$$;
-- +goose StatementEnd

-- Never waits while a lane is held: a second statement of a transaction finds its own lane free at the latest.
-- +goose StatementBegin
CREATE FUNCTION audit_chain_take_lane() RETURNS smallint
LANGUAGE plpgsql AS $$
DECLARE
    lanes CONSTANT integer := 16;
    class CONSTANT integer := 'audit_event_chain'::regclass::oid::bigint::bit(32)::integer;
    home  CONSTANT integer := pg_backend_pid() % lanes;
BEGIN
    FOR step IN 0 .. lanes - 1 LOOP
        IF pg_try_advisory_xact_lock(class, (home + step) % lanes) THEN
            RETURN (home + step) % lanes;
        END IF;
    END LOOP;
    PERFORM pg_advisory_xact_lock(class, home);
    RETURN home;
END;
$$;
-- +goose StatementEnd

-- SECURITY DEFINER: who may insert events may not write links of his own.
-- +goose StatementBegin
CREATE FUNCTION audit_events_append_link() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    link   audit_event_chain;
    latest record;
BEGIN
    SELECT array_agg(event_id ORDER BY event_id), min(event_date), max(event_date),
           sha256(string_agg(event_hash, ''::bytea ORDER BY event_id))
    INTO link.event_ids, link.first_date, link.last_date, link.events_hash
    FROM inserted;
    IF link.event_ids IS NULL THEN
        RETURN NULL;
    END IF;

    link.lane := audit_chain_take_lane();
    SELECT c.position, c.link_hash INTO latest
    FROM audit_event_chain c WHERE c.lane = link.lane ORDER BY c.position DESC LIMIT 1;
    link.position := COALESCE(latest.position, 0) + 1;
    link.previous_hash := COALESCE(latest.link_hash, ''::bytea);
    link.linked_at := now();
    link.link_hash := audit_chain_link_hash(
        link.previous_hash, link.events_hash, link.lane, link.position, link.event_ids);
    INSERT INTO audit_event_chain VALUES (link.*);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION audit_events_set_hash() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.event_hash := audit_event_hash(NEW);
    RETURN NEW;
END;
$$;
-- +goose StatementEnd

ALTER TABLE audit_events ADD COLUMN event_hash bytea;

-- Events that are there already get their hash, and a link a day. Nobody else may switch the refusal off.
ALTER TABLE audit_events DISABLE TRIGGER USER;
UPDATE audit_events AS e SET event_hash = audit_event_hash(e);
ALTER TABLE audit_events ENABLE TRIGGER USER;
ALTER TABLE audit_events ALTER COLUMN event_hash SET NOT NULL;

-- +goose StatementBegin
DO $$
DECLARE
    day      record;
    place    bigint := 0;
    previous bytea := '';
    hash     bytea;
BEGIN
    FOR day IN
        SELECT event_date, array_agg(event_id ORDER BY event_id) AS ids,
               sha256(string_agg(event_hash, ''::bytea ORDER BY event_id)) AS events_hash
        FROM audit_events GROUP BY event_date ORDER BY event_date
    LOOP
        place := place + 1;
        hash := audit_chain_link_hash(previous, day.events_hash, 0::smallint, place, day.ids);
        INSERT INTO audit_event_chain
            (lane, position, event_ids, first_date, last_date, events_hash, previous_hash, link_hash)
        VALUES (0, place, day.ids, day.event_date, day.event_date, day.events_hash, previous, hash);
        previous := hash;
    END LOOP;
END;
$$;
-- +goose StatementEnd

CREATE TRIGGER audit_event_chain_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event_chain
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER audit_events_20_hash
    BEFORE INSERT ON audit_events
    FOR EACH ROW EXECUTE FUNCTION audit_events_set_hash();

CREATE TRIGGER audit_events_30_chain
    AFTER INSERT ON audit_events
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_append_link();

-- +goose Down

DROP TRIGGER audit_events_30_chain ON audit_events;
DROP TRIGGER audit_events_20_hash ON audit_events;
DROP FUNCTION audit_events_append_link();
DROP FUNCTION audit_events_set_hash();
DROP FUNCTION audit_chain_take_lane();
DROP FUNCTION audit_chain_link_hash(bytea, bytea, smallint, bigint, uuid[]);
DROP TABLE audit_event_chain;
DROP FUNCTION audit_event_hash(audit_events);
ALTER TABLE audit_events DROP COLUMN event_hash;
