DROP MATERIALIZED VIEW recent_downloads;
