-- Why a workflow was disabled or deprecated.

-- +goose Up

ALTER TABLE remediation_workflow_catalog
    ADD COLUMN status_reason text,
    ADD CONSTRAINT remediation_workflow_catalog_reason_check
        CHECK (status = 'active' OR status_reason IS NOT NULL) NOT VALID;
UPDATE remediation_workflow_catalog SET status_reason = 'not recorded' WHERE status <> 'active';
ALTER TABLE remediation_workflow_catalog VALIDATE CONSTRAINT remediation_workflow_catalog_reason_check;

-- +goose Down

ALTER TABLE remediation_workflow_catalog
    DROP CONSTRAINT remediation_workflow_catalog_reason_check,
    DROP COLUMN status_reason;
