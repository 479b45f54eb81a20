-- One audit table a service: the first phase of the write API, before 013 unified them.

-- +goose Up

CREATE TYPE audit_phase AS ENUM ('pending', 'processing', 'completed', 'failed');

-- +goose StatementBegin
DO $$
DECLARE
    service text;
BEGIN
    FOREACH service IN ARRAY ARRAY['orchestration', 'signal_processing', 'ai_analysis', 'workflow_execution']
    LOOP
        EXECUTE format(
            'CREATE TABLE %I (
                id             bigserial PRIMARY KEY,
                remediation_id text NOT NULL,
                phase          audit_phase NOT NULL DEFAULT ''pending'',
                detail         jsonb NOT NULL DEFAULT ''{}'',
                started_at     timestamptz NOT NULL DEFAULT now(),
                completed_at   timestamptz,
                created_at     timestamptz NOT NULL DEFAULT now(),
                updated_at     timestamptz NOT NULL DEFAULT now()
            )', service || '_audit');
        EXECUTE format(
            'CREATE INDEX %I ON %I (remediation_id, started_at DESC)',
            'idx_' || service || '_audit_remediation', service || '_audit');
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION set_updated_at()',
            service || '_audit_updated_at', service || '_audit');
    END LOOP;
END;
$$;
-- +goose StatementEnd

ALTER TABLE notification_audit
    ADD COLUMN remediation_id text,
    ADD COLUMN delivery_attempts integer NOT NULL DEFAULT 0
        CONSTRAINT notification_audit_attempts_check CHECK (delivery_attempts >= 0),
    ADD COLUMN error_message text;
CREATE INDEX idx_notification_audit_remediation ON notification_audit (remediation_id, created_at DESC);

-- +goose Down

DROP INDEX idx_notification_audit_remediation;
ALTER TABLE notification_audit
    DROP COLUMN error_message,
    DROP COLUMN delivery_attempts,
    DROP COLUMN remediation_id;

DROP TABLE workflow_execution_audit;
DROP TABLE ai_analysis_audit;
DROP TABLE signal_processing_audit;
DROP TABLE orchestration_audit;
DROP TYPE audit_phase;
