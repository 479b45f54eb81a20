-- What a workflow takes, and what runs it.

-- +goose Up

ALTER TABLE remediation_workflow_catalog
    ADD COLUMN parameters jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN execution_engine text NOT NULL DEFAULT 'tekton',
    ADD COLUMN execution_bundle text;

CREATE INDEX idx_workflow_catalog_execution_bundle
    ON remediation_workflow_catalog (execution_bundle) WHERE execution_bundle IS NOT NULL;

-- +goose Down

DROP INDEX idx_workflow_catalog_execution_bundle;
ALTER TABLE remediation_workflow_catalog
    DROP COLUMN execution_bundle,
    DROP COLUMN execution_engine,
    DROP COLUMN parameters;
