-- The catalog follows 009: 768 dimensions. Old embeddings are emptied, both ways.

-- +goose Up

DROP INDEX idx_workflow_catalog_embedding;
UPDATE remediation_workflow_catalog SET embedding = NULL WHERE embedding IS NOT NULL;
ALTER TABLE remediation_workflow_catalog ALTER COLUMN embedding TYPE vector(768);
CREATE INDEX idx_workflow_catalog_embedding
    ON remediation_workflow_catalog USING hnsw (embedding vector_cosine_ops);

-- +goose Down

DROP INDEX idx_workflow_catalog_embedding;
UPDATE remediation_workflow_catalog SET embedding = NULL WHERE embedding IS NOT NULL;
ALTER TABLE remediation_workflow_catalog ALTER COLUMN embedding TYPE vector(384);
CREATE INDEX idx_workflow_catalog_embedding
    ON remediation_workflow_catalog USING hnsw (embedding vector_cosine_ops);
