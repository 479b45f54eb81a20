-- What was known when an action was chosen.

-- +goose Up

ALTER TABLE resource_action_traces ADD COLUMN context jsonb NOT NULL DEFAULT '{}';
CREATE INDEX idx_traces_context ON resource_action_traces USING gin (context jsonb_path_ops);

-- +goose Down

DROP INDEX idx_traces_context;
ALTER TABLE resource_action_traces DROP COLUMN context;
