"""Embedded servers: a PostgreSQL found on this machine, started for us alone."""
