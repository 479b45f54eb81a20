-- One table for every service's audit events: append-only, one partition a month.

-- +goose Up

-- Where a row goes is decided before any trigger runs, so a row that comes without an event_date needs one that
-- some partition takes: the first day of the newest partition that has begun, or else of the earliest there is.
-- The trigger below then puts the row where it belongs. Nobody in a hurry leaves event_date out.
-- +goose StatementBegin
CREATE FUNCTION audit_events_entry_date() RETURNS date
LANGUAGE sql STABLE SET datestyle = 'ISO' AS $$
    SELECT COALESCE(
        max(first_day) FILTER (WHERE first_day <= (now() AT TIME ZONE 'UTC')::date),
        min(first_day),
        (now() AT TIME ZONE 'UTC')::date
    )
    FROM (
        SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM $re$FROM \('(\d{4}-\d\d-\d\d)'\)$re$)::date
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass('audit_events')
    ) AS partition_bounds (first_day)
$$;
-- +goose StatementEnd

CREATE TABLE audit_events (
    event_id          uuid NOT NULL DEFAULT gen_random_uuid(),
    event_version     text NOT NULL DEFAULT '1.0',
    event_timestamp   timestamptz NOT NULL DEFAULT now(),
    event_date        date NOT NULL DEFAULT audit_events_entry_date(),
    event_type        text NOT NULL,
    event_category    text NOT NULL,
    event_action      text NOT NULL,
    event_outcome     text NOT NULL,
    actor_type        text,
    actor_id          text,
    actor_ip          inet,
    resource_type     text,
    resource_id       text,
    resource_name     text,
    correlation_id    text NOT NULL,
    parent_event_id   uuid,
    parent_event_date date,
    trace_id          text,
    span_id           text,
    namespace         text,
    cluster_name      text,
    event_data        jsonb NOT NULL DEFAULT '{}',
    event_metadata    jsonb,
    severity          text,
    duration_ms       integer,
    error_code        text,
    error_message     text,
    retention_days    integer NOT NULL DEFAULT 2555,
    is_sensitive      boolean NOT NULL DEFAULT false,
    CONSTRAINT audit_events_pkey PRIMARY KEY (event_id, event_date),
    CONSTRAINT audit_events_parent_fkey
        FOREIGN KEY (parent_event_id, parent_event_date)
        REFERENCES audit_events (event_id, event_date) ON DELETE RESTRICT,
    CONSTRAINT audit_events_parent_check CHECK ((parent_event_id IS NULL) = (parent_event_date IS NULL)),
    CONSTRAINT audit_events_outcome_check CHECK (event_outcome IN ('success', 'failure', 'pending')),
    CONSTRAINT audit_events_duration_check CHECK (duration_ms >= 0),
    CONSTRAINT audit_events_retention_check CHECK (retention_days > 0)
) PARTITION BY RANGE (event_date);

COMMENT ON TABLE audit_events IS 'What every service did, for whom and how it ended; rows are never changed or deleted';
COMMENT ON COLUMN audit_events.event_date IS 'The day of event_timestamp in UTC; the partition key';
COMMENT ON COLUMN audit_events.correlation_id IS 'What one remediation is known by in every service';

CREATE INDEX idx_audit_events_correlation ON audit_events (correlation_id, event_timestamp DESC);
-- text_pattern_ops, so that event_type LIKE 'gateway.signal.%' is a range of the index under any collation
CREATE INDEX idx_audit_events_event_type ON audit_events (event_type text_pattern_ops, event_timestamp DESC);
CREATE INDEX idx_audit_events_timestamp ON audit_events (event_timestamp DESC);
CREATE INDEX idx_audit_events_resource ON audit_events (resource_type, resource_id, event_timestamp DESC);
CREATE INDEX idx_audit_events_actor ON audit_events (actor_type, actor_id, event_timestamp DESC);
CREATE INDEX idx_audit_events_outcome ON audit_events (event_outcome, event_timestamp DESC);
CREATE INDEX idx_audit_events_event_data ON audit_events USING gin (event_data jsonb_path_ops);

-- event_date is never the caller's word. A trigger may not move a row to another partition; a row that was routed
-- by a wrong month is put in again with the right one instead (and is not counted by, nor RETURNed to, its INSERT).
-- +goose StatementBegin
CREATE FUNCTION audit_events_set_date() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    utc_date CONSTANT date := (NEW.event_timestamp AT TIME ZONE 'UTC')::date;
    given    CONSTANT date := NEW.event_date;
BEGIN
    IF utc_date = given OR utc_date IS NULL THEN
        RETURN NEW;
    END IF;
    NEW.event_date := utc_date;
    IF date_trunc('month', utc_date::timestamp) = date_trunc('month', given::timestamp) THEN
        RETURN NEW;
    END IF;
    INSERT INTO audit_events VALUES (NEW.*);
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

-- Triggers of a row fire in the order of their names: the date comes before what is computed from it.
CREATE TRIGGER audit_events_10_date
    BEFORE INSERT ON audit_events
    FOR EACH ROW EXECUTE FUNCTION audit_events_set_date();

-- +goose StatementBegin
CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation',
              HINT = 'Add a new row that corrects the old one; whole months are dropped by retention.';
END;
$$;
-- +goose StatementEnd

-- The first refuses what names audit_events, even where no row matches; the second what names a partition.
CREATE TRIGGER audit_events_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_events_append_only_row
    BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The key of a partitioned table has to hold the partition key, so audit_events alone would take one event_id for two
-- days. What takes an id twice waits here for who came first, and fails. Whoever asks for an id finds its day, and need
-- not look into every month.
CREATE TABLE audit_event_ids (
    event_id   uuid CONSTRAINT audit_event_ids_pkey PRIMARY KEY,
    event_date date NOT NULL
);

COMMENT ON TABLE audit_event_ids IS 'Every event_id once, and the day by which its event is found; written by a trigger';

-- In ascending order: two batches that share ids wait for each other, and never in a circle. SECURITY DEFINER: who may
-- insert events may not take ids that no event has.
-- +goose StatementBegin
CREATE FUNCTION audit_events_take_ids() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO audit_event_ids (event_id, event_date)
    SELECT event_id, event_date FROM inserted ORDER BY event_id;
    RETURN NULL;
END;
$$;
-- +goose StatementEnd

CREATE TRIGGER audit_events_25_ids
    AFTER INSERT ON audit_events
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT EXECUTE FUNCTION audit_events_take_ids();

-- +goose Down

DROP TABLE audit_events;
DROP FUNCTION audit_events_take_ids();
DROP TABLE audit_event_ids;
DROP FUNCTION refuse_change();
DROP FUNCTION audit_events_set_date();
DROP FUNCTION audit_events_entry_date();
