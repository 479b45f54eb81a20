"""A project: a catalog with its configuration; the way from names to a slice."""
