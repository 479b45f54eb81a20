"""The objects form of a slice: final definitions, taken from what pg_dump archives."""
