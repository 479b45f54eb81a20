-- What a court asked for is not dropped by retention. An event may be born on hold; a whole correlation is put on
-- hold, and released, by a row in audit_legal_holds, since events themselves never change.

-- +goose Up

ALTER TABLE audit_events ADD COLUMN legal_hold boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN audit_events.legal_hold IS 'True where the event was recorded on hold; see also audit_legal_holds';

CREATE INDEX idx_audit_events_legal_hold ON audit_events (correlation_id) WHERE legal_hold;

CREATE TABLE audit_legal_holds (
    entry          bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT audit_legal_holds_pkey PRIMARY KEY,
    correlation_id text NOT NULL,
    action         text NOT NULL
                   CONSTRAINT audit_legal_holds_action_check CHECK (action IN ('placed', 'released')),
    reason         text NOT NULL,
    actor          text NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX idx_audit_legal_holds_correlation ON audit_legal_holds (correlation_id, entry DESC);

CREATE TRIGGER audit_legal_holds_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_legal_holds
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The correlations on hold now: the last word on each is 'placed'.
CREATE VIEW audit_correlations_on_hold AS
SELECT correlation_id, reason, actor, recorded_at
FROM (
    SELECT DISTINCT ON (correlation_id) correlation_id, action, reason, actor, recorded_at
    FROM audit_legal_holds
    ORDER BY correlation_id, entry DESC
) AS latest
WHERE action = 'placed';

-- +goose Down

DROP VIEW audit_correlations_on_hold;
DROP TABLE audit_legal_holds;
DROP INDEX idx_audit_events_legal_hold;
ALTER TABLE audit_events DROP COLUMN legal_hold;
