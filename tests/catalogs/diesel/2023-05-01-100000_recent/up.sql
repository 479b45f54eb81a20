CREATE MATERIALIZED VIEW recent_downloads AS
    SELECT v.package_id, sum(d.downloads) AS downloads
    FROM version_downloads d JOIN versions v ON v.id = d.version_id
    GROUP BY v.package_id;
CREATE UNIQUE INDEX recent_downloads_package_id ON recent_downloads (package_id);
