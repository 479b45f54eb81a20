-- The remediation workflows there are, found by labels or by meaning. Needs pgvector (see 005).

-- +goose Up

CREATE EXTENSION IF NOT EXISTS vector;

-- +goose StatementBegin
CREATE FUNCTION workflow_content_hash(content text) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT sha256(convert_to(content, 'UTF8'))
$$;
-- +goose StatementEnd

CREATE TABLE remediation_workflow_catalog (
    workflow_name     text NOT NULL,
    version           text NOT NULL,
    title             text NOT NULL,
    description       text NOT NULL DEFAULT '',
    content           text NOT NULL,
    content_hash      bytea NOT NULL GENERATED ALWAYS AS (workflow_content_hash(content)) STORED,
    labels            jsonb NOT NULL DEFAULT '{}',
    embedding         vector(384),
    status            text NOT NULL DEFAULT 'active'
                      CONSTRAINT remediation_workflow_catalog_status_check
                      CHECK (status IN ('active', 'disabled', 'deprecated', 'archived')),
    is_latest_version boolean NOT NULL DEFAULT true,
    created_by        text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT remediation_workflow_catalog_pkey PRIMARY KEY (workflow_name, version)
);

CREATE UNIQUE INDEX idx_workflow_catalog_latest
    ON remediation_workflow_catalog (workflow_name) WHERE is_latest_version;
CREATE INDEX idx_workflow_catalog_status ON remediation_workflow_catalog (status, created_at DESC);
CREATE INDEX idx_workflow_catalog_labels ON remediation_workflow_catalog USING gin (labels);
CREATE INDEX idx_workflow_catalog_embedding
    ON remediation_workflow_catalog USING hnsw (embedding vector_cosine_ops);

CREATE TRIGGER remediation_workflow_catalog_updated_at
    BEFORE UPDATE ON remediation_workflow_catalog
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- A new version takes over from the one before it. SECURITY DEFINER: who may add a workflow may not change one.
-- +goose StatementBegin
CREATE FUNCTION supersede_workflow_version() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE remediation_workflow_catalog
    SET is_latest_version = false
    WHERE workflow_name = NEW.workflow_name AND is_latest_version;
    RETURN NEW;
END;
$$;
-- +goose StatementEnd

CREATE TRIGGER remediation_workflow_catalog_supersede
    BEFORE INSERT ON remediation_workflow_catalog
    FOR EACH ROW WHEN (NEW.is_latest_version) EXECUTE FUNCTION supersede_workflow_version();

-- What every installation starts with.
INSERT INTO remediation_workflow_catalog (workflow_name, version, title, description, content, labels, created_by)
VALUES
    ('restart-pod', '1.0.0', 'Restart a pod',
     'Deletes the pod, so that its controller makes a new one',
     'steps: [delete-pod]',
     '{"signal_type": "CrashLoopBackOff", "severity": "high", "environment": "any"}', 'system'),
    ('scale-up', '1.0.0', 'Add replicas',
     'Adds replicas to a deployment that is short of capacity',
     'steps: [scale-deployment]',
     '{"signal_type": "HighLoad", "severity": "medium", "environment": "any"}', 'system');

-- +goose Down

-- The extension stays: 005 made it.
DROP TABLE remediation_workflow_catalog;
DROP FUNCTION supersede_workflow_version();
DROP FUNCTION workflow_content_hash(text);
