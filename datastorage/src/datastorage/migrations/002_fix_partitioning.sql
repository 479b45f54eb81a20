-- A unique key of a partitioned table has to hold the partition key, and 001 gave resource_action_traces none.
-- A key can't be added while rows may repeat, so the table is made again with it.

-- +goose Up

-- The rows wait here while the table is made anew.
CREATE TEMPORARY TABLE kept_traces ON COMMIT DROP AS SELECT * FROM resource_action_traces;

-- CASCADE takes action_history_summary along; it is made again below.
DROP TABLE resource_action_traces CASCADE;

CREATE TABLE resource_action_traces (
    id                bigserial NOT NULL,
    action_history_id bigint NOT NULL
                      CONSTRAINT resource_action_traces_history_fkey
                      REFERENCES action_histories (id) ON DELETE CASCADE,
    action_id         text NOT NULL,
    action_timestamp  timestamptz NOT NULL DEFAULT now(),
    action_type       text NOT NULL,
    action_parameters jsonb NOT NULL DEFAULT '{}',
    alert_name        text NOT NULL,
    alert_severity    text NOT NULL DEFAULT 'info',
    alert_labels      jsonb NOT NULL DEFAULT '{}',
    model_used        text,
    model_confidence  numeric(4, 3),
    execution_status  text NOT NULL DEFAULT 'pending',
    execution_error   text,
    effectiveness     numeric(4, 3),
    CONSTRAINT resource_action_traces_pkey PRIMARY KEY (id, action_timestamp),
    CONSTRAINT resource_action_traces_action_key UNIQUE (action_id, action_timestamp)
) PARTITION BY RANGE (action_timestamp);

CREATE INDEX idx_traces_history ON resource_action_traces (action_history_id, action_timestamp DESC);
CREATE INDEX idx_traces_alert_name ON resource_action_traces (alert_name);
CREATE INDEX idx_traces_action_type ON resource_action_traces (action_type, action_timestamp DESC);
CREATE INDEX idx_traces_execution_status ON resource_action_traces (execution_status, action_timestamp DESC);

-- +goose StatementBegin
DO $$
DECLARE
    first_day date;
BEGIN
    FOR first_day IN
        SELECT d::date
        FROM generate_series(timestamp '2025-11-01', timestamp '2026-02-01', interval '1 month') AS d
    LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF resource_action_traces FOR VALUES FROM (%L) TO (%L)',
            'resource_action_traces_' || to_char(first_day, 'YYYY_MM'),
            first_day::text || ' 00:00:00+00',
            (first_day + interval '1 month')::date::text || ' 00:00:00+00'
        );
    END LOOP;
END;
$$;
-- +goose StatementEnd

CREATE TABLE resource_action_traces_default PARTITION OF resource_action_traces DEFAULT;

INSERT INTO resource_action_traces SELECT * FROM kept_traces;
SELECT setval('resource_action_traces_id_seq', (SELECT max(id) FROM resource_action_traces));

CREATE VIEW action_history_summary AS
SELECT r.id AS resource_id,
       r.namespace,
       r.kind,
       r.name,
       h.total_actions,
       (SELECT count(*) FROM resource_action_traces t WHERE t.action_history_id = h.id) AS traced_actions,
       (SELECT count(DISTINCT t.alert_name) FROM resource_action_traces t WHERE t.action_history_id = h.id)
           AS distinct_alerts,
       (SELECT count(*) FROM notification_audit n WHERE n.resource_id = r.id) AS notifications,
       h.last_action_at
FROM resource_references r
JOIN action_histories h ON h.resource_id = r.id;

COMMENT ON VIEW action_history_summary IS 'One row per resource: how often it was acted on and notified about';

-- +goose Down

-- The rows wait here while the table is made anew.
CREATE TEMPORARY TABLE kept_traces ON COMMIT DROP AS SELECT * FROM resource_action_traces;

-- CASCADE takes action_history_summary along; it is made again below.
DROP TABLE resource_action_traces CASCADE;

CREATE TABLE resource_action_traces (
    id                bigserial NOT NULL,
    action_history_id bigint NOT NULL
                      CONSTRAINT resource_action_traces_history_fkey
                      REFERENCES action_histories (id) ON DELETE CASCADE,
    action_id         text NOT NULL,
    action_timestamp  timestamptz NOT NULL DEFAULT now(),
    action_type       text NOT NULL,
    action_parameters jsonb NOT NULL DEFAULT '{}',
    alert_name        text NOT NULL,
    alert_severity    text NOT NULL DEFAULT 'info',
    alert_labels      jsonb NOT NULL DEFAULT '{}',
    model_used        text,
    model_confidence  numeric(4, 3),
    execution_status  text NOT NULL DEFAULT 'pending',
    execution_error   text,
    effectiveness     numeric(4, 3)
) PARTITION BY RANGE (action_timestamp);

CREATE INDEX idx_traces_history ON resource_action_traces (action_history_id, action_timestamp DESC);
CREATE INDEX idx_traces_alert_name ON resource_action_traces (alert_name);
CREATE INDEX idx_traces_action_type ON resource_action_traces (action_type, action_timestamp DESC);

-- +goose StatementBegin
DO $$
DECLARE
    first_day date;
BEGIN
    FOR first_day IN
        SELECT d::date
        FROM generate_series(timestamp '2025-11-01', timestamp '2026-02-01', interval '1 month') AS d
    LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF resource_action_traces FOR VALUES FROM (%L) TO (%L)',
            'resource_action_traces_' || to_char(first_day, 'YYYY_MM'),
            first_day::text || ' 00:00:00+00',
            (first_day + interval '1 month')::date::text || ' 00:00:00+00'
        );
    END LOOP;
END;
$$;
-- +goose StatementEnd

CREATE TABLE resource_action_traces_default PARTITION OF resource_action_traces DEFAULT;

INSERT INTO resource_action_traces SELECT * FROM kept_traces;
SELECT setval('resource_action_traces_id_seq', (SELECT max(id) FROM resource_action_traces));

CREATE VIEW action_history_summary AS
SELECT r.id AS resource_id,
       r.namespace,
       r.kind,
       r.name,
       h.total_actions,
       (SELECT count(*) FROM resource_action_traces t WHERE t.action_history_id = h.id) AS traced_actions,
       (SELECT count(DISTINCT t.alert_name) FROM resource_action_traces t WHERE t.action_history_id = h.id)
           AS distinct_alerts,
       (SELECT count(*) FROM notification_audit n WHERE n.resource_id = r.id) AS notifications,
       h.last_action_at
FROM resource_references r
JOIN action_histories h ON h.resource_id = r.id;

COMMENT ON VIEW action_history_summary IS 'One row per resource: how often it was acted on and notified about';
