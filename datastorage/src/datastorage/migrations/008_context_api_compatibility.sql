-- The names the Context API reads, over the tables as they are.

-- +goose Up

CREATE VIEW incident_events AS
SELECT t.id,
       t.action_id        AS remediation_request_id,
       t.alert_name       AS name,
       t.alert_severity   AS severity,
       t.action_type,
       t.execution_status AS status,
       t.action_timestamp AS start_time,
       t.context          AS metadata,
       r.namespace,
       r.kind             AS target_kind,
       r.name             AS target_name
FROM resource_action_traces t
JOIN action_histories h ON h.id = t.action_history_id
JOIN resource_references r ON r.id = h.resource_id;

-- +goose Down

DROP VIEW incident_events;
