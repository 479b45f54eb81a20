-- +goose NO TRANSACTION
-- The results of looking back at an action. The indexes are built CONCURRENTLY, which no transaction allows.

-- +goose Up

CREATE TABLE effectiveness_weights (
    signal text PRIMARY KEY,
    weight numeric(3, 2) NOT NULL CONSTRAINT effectiveness_weights_range_check CHECK (weight BETWEEN 0 AND 1)
);

INSERT INTO effectiveness_weights (signal, weight) VALUES
    ('alert_resolved', 0.50),
    ('metrics_improved', 0.30),
    ('no_side_effects', 0.20);

CREATE TABLE effectiveness_results (
    id          bigserial PRIMARY KEY,
    action_id   text NOT NULL,
    signal      text NOT NULL
                CONSTRAINT effectiveness_results_signal_fkey
                REFERENCES effectiveness_weights (signal) ON UPDATE CASCADE,
    score       numeric(4, 3) NOT NULL CONSTRAINT effectiveness_results_score_check CHECK (score BETWEEN 0 AND 1),
    assessed_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX CONCURRENTLY idx_effectiveness_results_action ON effectiveness_results (action_id);
CREATE INDEX CONCURRENTLY idx_effectiveness_results_assessed ON effectiveness_results (assessed_at DESC);

-- +goose StatementBegin
CREATE FUNCTION action_effectiveness(p_action_id text) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT sum(r.score * w.weight) / NULLIF(sum(w.weight), 0)
    FROM effectiveness_results r
    JOIN effectiveness_weights w ON w.signal = r.signal
    WHERE r.action_id = p_action_id
$$;
-- +goose StatementEnd

-- +goose Down

DROP FUNCTION action_effectiveness(text);
DROP INDEX CONCURRENTLY idx_effectiveness_results_assessed;
DROP INDEX CONCURRENTLY idx_effectiveness_results_action;
DROP TABLE effectiveness_results;
DROP TABLE effectiveness_weights;
