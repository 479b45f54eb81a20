DROP INDEX CONCURRENTLY items_by_category;
