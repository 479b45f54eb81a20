-- Success by kind of incident and by workflow, not only by action.

-- +goose Up

ALTER TABLE resource_action_traces
    ADD COLUMN incident_type text,
    ADD COLUMN workflow_id text,
    ADD COLUMN workflow_version text,
    ADD COLUMN workflow_step integer
        CONSTRAINT resource_action_traces_workflow_step_check CHECK (workflow_step > 0);

CREATE INDEX idx_incident_type_success
    ON resource_action_traces (incident_type, execution_status, action_timestamp DESC)
    WHERE incident_type IS NOT NULL;
CREATE INDEX idx_workflow_success
    ON resource_action_traces (workflow_id, workflow_version, execution_status, action_timestamp DESC)
    WHERE workflow_id IS NOT NULL;

CREATE VIEW incident_success AS
SELECT incident_type,
       count(*) AS actions,
       count(*) FILTER (WHERE execution_status = 'completed') AS completed
FROM resource_action_traces
WHERE incident_type IS NOT NULL
GROUP BY incident_type;

-- +goose Down

DROP VIEW incident_success;
DROP INDEX idx_workflow_success;
DROP INDEX idx_incident_type_success;
ALTER TABLE resource_action_traces
    DROP COLUMN workflow_step,
    DROP COLUMN workflow_version,
    DROP COLUMN workflow_id,
    DROP COLUMN incident_type;
