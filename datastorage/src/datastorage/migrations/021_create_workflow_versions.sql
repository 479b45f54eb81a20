-- A workflow, and the versions of it that were released; the catalog of 015 holds what each version is.

-- +goose Up

CREATE TABLE workflows (
    workflow_name text PRIMARY KEY,
    title         text NOT NULL,
    owner         text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER workflows_updated_at
    BEFORE UPDATE ON workflows
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TABLE workflow_versions (
    workflow_name text NOT NULL
                  CONSTRAINT workflow_versions_workflow_fkey REFERENCES workflows (workflow_name),
    version       text NOT NULL,
    workflow_id   uuid NOT NULL
                  CONSTRAINT workflow_versions_catalog_fkey
                  REFERENCES remediation_workflow_catalog (workflow_id),
    change_note   text,
    released_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT workflow_versions_pkey PRIMARY KEY (workflow_name, version),
    CONSTRAINT workflow_versions_catalog_key UNIQUE (workflow_id)
);

CREATE INDEX idx_workflow_versions_released ON workflow_versions (workflow_name, released_at DESC);

INSERT INTO workflows (workflow_name, title, owner)
SELECT workflow_name, title, created_by FROM remediation_workflow_catalog WHERE is_latest_version;
INSERT INTO workflow_versions (workflow_name, version, workflow_id, change_note)
SELECT workflow_name, version, workflow_id, 'first release' FROM remediation_workflow_catalog;

-- +goose Down

DROP TABLE workflow_versions;
DROP TABLE workflows;
