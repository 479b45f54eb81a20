"""The service: an ASGI application over a pool of PostgreSQL connections."""
