-- A bundle is an image, and the column now says so.

-- +goose Up

ALTER TABLE remediation_workflow_catalog RENAME COLUMN execution_bundle TO container_image;
ALTER INDEX idx_workflow_catalog_execution_bundle RENAME TO idx_workflow_catalog_container_image;

-- +goose Down

ALTER INDEX idx_workflow_catalog_container_image RENAME TO idx_workflow_catalog_execution_bundle;
ALTER TABLE remediation_workflow_catalog RENAME COLUMN container_image TO execution_bundle;
