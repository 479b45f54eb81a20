-- Other tables refer to a workflow by one uuid; name and version stay unique.

-- +goose Up

-- Rows that are there get an id that follows from name and version: the same in every installation.
ALTER TABLE remediation_workflow_catalog ADD COLUMN workflow_id uuid;
UPDATE remediation_workflow_catalog SET workflow_id = md5(workflow_name || '@' || version)::uuid;
ALTER TABLE remediation_workflow_catalog
    ALTER COLUMN workflow_id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN workflow_id SET NOT NULL,
    DROP CONSTRAINT remediation_workflow_catalog_pkey,
    ADD CONSTRAINT remediation_workflow_catalog_pkey PRIMARY KEY (workflow_id),
    ADD CONSTRAINT remediation_workflow_catalog_name_key UNIQUE (workflow_name, version);

-- +goose Down

ALTER TABLE remediation_workflow_catalog
    DROP CONSTRAINT remediation_workflow_catalog_name_key,
    DROP CONSTRAINT remediation_workflow_catalog_pkey,
    DROP COLUMN workflow_id,
    ADD CONSTRAINT remediation_workflow_catalog_pkey PRIMARY KEY (workflow_name, version);
