"""A slice: the part of a catalog that a set of tables needs, found, proved, and kept in pgslate.lock."""
