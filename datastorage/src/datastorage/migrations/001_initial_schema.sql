-- Resources, the actions taken on them, and the notifications sent about them.

-- +goose Up

-- Shared by every table that keeps an updated_at.
-- +goose StatementBegin
CREATE FUNCTION set_updated_at() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END;
$$;
-- +goose StatementEnd

CREATE TABLE resource_references (
    id           bigserial PRIMARY KEY,
    resource_uid text NOT NULL CONSTRAINT resource_references_uid_key UNIQUE,
    api_version  text NOT NULL,
    kind         text NOT NULL,
    name         text NOT NULL,
    namespace    text,
    labels       jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    deleted_at   timestamptz
);

CREATE UNIQUE INDEX idx_resource_references_name
    ON resource_references (kind, COALESCE(namespace, ''), name)
    WHERE deleted_at IS NULL;
CREATE INDEX idx_resource_references_labels ON resource_references USING gin (labels);

CREATE TRIGGER resource_references_updated_at
    BEFORE UPDATE ON resource_references
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TABLE action_histories (
    id             bigserial PRIMARY KEY,
    resource_id    bigint NOT NULL
                   CONSTRAINT action_histories_resource_fkey
                   REFERENCES resource_references (id) ON DELETE CASCADE,
    max_actions    integer NOT NULL DEFAULT 1000
                   CONSTRAINT action_histories_max_actions_check CHECK (max_actions > 0),
    retention_days integer NOT NULL DEFAULT 30,
    total_actions  bigint NOT NULL DEFAULT 0,
    last_action_at timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT action_histories_resource_key UNIQUE (resource_id)
);

CREATE TRIGGER action_histories_updated_at
    BEFORE UPDATE ON action_histories
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

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

-- One partition a month; the months are fixed, so that this file makes the same tables on any day.
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

CREATE TABLE notification_audit (
    id              bigserial PRIMARY KEY,
    notification_id text NOT NULL CONSTRAINT notification_audit_notification_key UNIQUE,
    resource_id     bigint
                    CONSTRAINT notification_audit_resource_fkey
                    REFERENCES resource_references (id) ON DELETE SET NULL,
    channel         text NOT NULL,
    recipient       text NOT NULL,
    message         text NOT NULL,
    status          text NOT NULL DEFAULT 'pending'
                    CONSTRAINT notification_audit_status_check
                    CHECK (status IN ('pending', 'sent', 'failed', 'acknowledged')),
    sent_at         timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX idx_notification_audit_status ON notification_audit (status, created_at DESC);
CREATE INDEX idx_notification_audit_resource ON notification_audit (resource_id);

CREATE TRIGGER notification_audit_updated_at
    BEFORE UPDATE ON notification_audit
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

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

DROP VIEW action_history_summary;
DROP TABLE notification_audit;
DROP TABLE resource_action_traces;
DROP TABLE action_histories;
DROP TABLE resource_references;
DROP FUNCTION set_updated_at();
