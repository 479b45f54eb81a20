DROP TABLE version_downloads;
