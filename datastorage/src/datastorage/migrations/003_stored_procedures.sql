-- Writing and reading the action history in one round trip.

-- +goose Up

-- Records one action; makes the resource's history when this is its first action. Gives the trace's id.
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

-- How often each action was taken on a resource, newest first.
-- +goose StatementBegin
CREATE FUNCTION action_counts(p_resource_uid text, p_since timestamptz)
RETURNS TABLE (action_type text, actions bigint, last_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT t.action_type, count(*), max(t.action_timestamp)
    FROM resource_references r
    JOIN action_histories h ON h.resource_id = r.id
    JOIN resource_action_traces t ON t.action_history_id = h.id
    WHERE r.resource_uid = p_resource_uid AND t.action_timestamp >= p_since
    GROUP BY t.action_type
    ORDER BY max(t.action_timestamp) DESC
$$;
-- +goose StatementEnd

-- Drops what is older than each history's own retention.
-- +goose StatementBegin
CREATE PROCEDURE prune_action_traces()
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM resource_action_traces t
    USING action_histories h
    WHERE h.id = t.action_history_id
      AND t.action_timestamp < now() - make_interval(days => h.retention_days);
END;
$$;
-- +goose StatementEnd

-- +goose Down

DROP PROCEDURE prune_action_traces();
DROP FUNCTION action_counts(text, timestamptz);
DROP FUNCTION record_action(text, text, text, text, timestamptz);
