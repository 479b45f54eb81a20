CREATE INDEX CONCURRENTLY dependencies_package_id ON dependencies (package_id);
