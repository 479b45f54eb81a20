-- Embeddings of past actions, to find what helped in a situation like this one. Needs pgvector.

-- +goose Up

CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE action_embeddings (
    id                bigserial PRIMARY KEY,
    action_history_id bigint NOT NULL
                      CONSTRAINT action_embeddings_history_fkey
                      REFERENCES action_histories (id) ON DELETE CASCADE,
    action_type       text NOT NULL,
    description       text NOT NULL,
    embedding         vector(384),
    effectiveness     numeric(4, 3),
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX idx_action_embeddings_history ON action_embeddings (action_history_id);
CREATE INDEX idx_action_embeddings_embedding
    ON action_embeddings USING hnsw (embedding vector_cosine_ops);

CREATE TRIGGER action_embeddings_updated_at
    BEFORE UPDATE ON action_embeddings
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- +goose Down

DROP TABLE action_embeddings;
DROP EXTENSION vector;
