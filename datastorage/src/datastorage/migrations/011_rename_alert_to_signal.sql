-- What starts a remediation is a signal; an alert is one kind of it. Views and their column names stay.

-- +goose Up

ALTER TABLE resource_action_traces RENAME COLUMN alert_name TO signal_name;
ALTER TABLE resource_action_traces RENAME COLUMN alert_severity TO signal_severity;
ALTER TABLE resource_action_traces RENAME COLUMN alert_labels TO signal_labels;
ALTER INDEX idx_traces_alert_name RENAME TO idx_traces_signal_name;

-- A function's body is text, and doesn't follow a rename.
DROP FUNCTION record_action(text, text, text, text, timestamptz);

-- +goose StatementBegin
CREATE FUNCTION record_action(
    p_resource_uid text,
    p_action_id text,
    p_action_type text,
    p_signal_name text,
    p_at timestamptz DEFAULT now()
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    history bigint;
    trace   bigint;
BEGIN
    INSERT INTO action_histories (resource_id, total_actions, last_action_at)
    SELECT id, 1, p_at FROM resource_references WHERE resource_uid = p_resource_uid
    ON CONFLICT (resource_id) DO UPDATE
        SET total_actions  = action_histories.total_actions + 1,
            last_action_at = greatest(action_histories.last_action_at, excluded.last_action_at)
    RETURNING id INTO history;

    IF history IS NULL THEN
        RAISE EXCEPTION 'resource % is not known', p_resource_uid USING ERRCODE = 'foreign_key_violation';
    END IF;

    INSERT INTO resource_action_traces (action_history_id, action_id, action_timestamp, action_type, signal_name)
    VALUES (history, p_action_id, p_at, p_action_type, p_signal_name)
    RETURNING id INTO trace;
    RETURN trace;
END;
$$;
-- +goose StatementEnd

-- +goose Down

DROP FUNCTION record_action(text, text, text, text, timestamptz);

-- +goose StatementBegin
CREATE FUNCTION record_action(
    p_resource_uid text,
    p_action_id text,
    p_action_type text,
    p_alert_name text,
    p_at timestamptz DEFAULT now()
) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    history bigint;
    trace   bigint;
BEGIN
    INSERT INTO action_histories (resource_id, total_actions, last_action_at)
    SELECT id, 1, p_at FROM resource_references WHERE resource_uid = p_resource_uid
    ON CONFLICT (resource_id) DO UPDATE
        SET total_actions  = action_histories.total_actions + 1,
            last_action_at = greatest(action_histories.last_action_at, excluded.last_action_at)
    RETURNING id INTO history;

    IF history IS NULL THEN
        RAISE EXCEPTION 'resource % is not known', p_resource_uid USING ERRCODE = 'foreign_key_violation';
    END IF;

    INSERT INTO resource_action_traces (action_history_id, action_id, action_timestamp, action_type, alert_name)
    VALUES (history, p_action_id, p_at, p_action_type, p_alert_name)
    RETURNING id INTO trace;
    RETURN trace;
END;
$$;
-- +goose StatementEnd

ALTER INDEX idx_traces_signal_name RENAME TO idx_traces_alert_name;
ALTER TABLE resource_action_traces RENAME COLUMN signal_labels TO alert_labels;
ALTER TABLE resource_action_traces RENAME COLUMN signal_severity TO alert_severity;
ALTER TABLE resource_action_traces RENAME COLUMN signal_name TO alert_name;
