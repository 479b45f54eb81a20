"""Targets: where a database is. An embedded server, a DSN, or a service in a Kubernetes namespace."""
