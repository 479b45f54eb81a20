-- A larger model: 768 dimensions. Embeddings of the old one can't be compared with the new, so they are emptied
-- (both ways), to be computed again.

-- +goose Up

DROP INDEX idx_action_embeddings_embedding;
UPDATE action_embeddings SET embedding = NULL WHERE embedding IS NOT NULL;
ALTER TABLE action_embeddings ALTER COLUMN embedding TYPE vector(768);
CREATE INDEX idx_action_embeddings_embedding
    ON action_embeddings USING hnsw (embedding vector_cosine_ops);

-- +goose Down

DROP INDEX idx_action_embeddings_embedding;
UPDATE action_embeddings SET embedding = NULL WHERE embedding IS NOT NULL;
ALTER TABLE action_embeddings ALTER COLUMN embedding TYPE vector(384);
CREATE INDEX idx_action_embeddings_embedding
    ON action_embeddings USING hnsw (embedding vector_cosine_ops);
