-- The labels that every search filters by become columns; labels itself stays as it was given.

-- +goose Up

CREATE TABLE workflow_label_vocabulary (
    label text NOT NULL,
    value text NOT NULL,
    CONSTRAINT workflow_label_vocabulary_pkey PRIMARY KEY (label, value)
);

INSERT INTO workflow_label_vocabulary (label, value) VALUES
    ('severity', 'critical'), ('severity', 'high'), ('severity', 'medium'), ('severity', 'low'),
    ('environment', 'production'), ('environment', 'staging'), ('environment', 'development'),
    ('environment', 'any');

-- A label's value where the vocabulary knows it, NULL where it doesn't.
-- +goose StatementBegin
CREATE FUNCTION known_workflow_label(p_labels jsonb, p_label text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT v.value FROM workflow_label_vocabulary v
    WHERE v.label = p_label AND v.value = p_labels ->> p_label
$$;
-- +goose StatementEnd

ALTER TABLE remediation_workflow_catalog
    ADD COLUMN signal_type text,
    ADD COLUMN severity text,
    ADD COLUMN environment text;

UPDATE remediation_workflow_catalog
SET signal_type = labels ->> 'signal_type',
    severity    = known_workflow_label(labels, 'severity'),
    environment = known_workflow_label(labels, 'environment');

CREATE INDEX idx_workflow_catalog_labels_columns
    ON remediation_workflow_catalog (signal_type, severity, environment) WHERE status = 'active';

-- +goose Down

DROP INDEX idx_workflow_catalog_labels_columns;
ALTER TABLE remediation_workflow_catalog
    DROP COLUMN environment,
    DROP COLUMN severity,
    DROP COLUMN signal_type;
DROP FUNCTION known_workflow_label(jsonb, text);
DROP TABLE workflow_label_vocabulary;
