CREATE INDEX CONCURRENTLY IF NOT EXISTS items_by_category ON items (category_id) WHERE category_id IS NOT NULL;
