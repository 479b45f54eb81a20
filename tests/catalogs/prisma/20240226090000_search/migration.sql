ALTER TABLE "Topic" ADD COLUMN "search" tsvector GENERATED ALWAYS AS (to_tsvector('simple', "title")) STORED;
CREATE INDEX "Topic_search_idx" ON "Topic" USING GIN ("search");
