"""The settings that change what a migration does or how a schema reads, with the values that pgslate uses.

A role or a database may have other values (ALTER ROLE ... SET). A trace, a proof and an applied migration
must not depend on them. A setting that a DSN, PGOPTIONS or [session] in pgslate.toml gives is asked for, and
wins.

Source: PostgreSQL manual, "Client Connection Defaults", "Version and Platform Compatibility".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PINNED: Mapping[str, str] = MappingProxyType(
    {
        "search_path": '"$user", public',
        "default_tablespace": "",
        "temp_tablespaces": "",
        "default_table_access_method": "heap",
        "default_toast_compression": "pglz",
        "default_transaction_isolation": "read committed",
        "default_transaction_deferrable": "off",
        "default_text_search_config": "pg_catalog.simple",
        "session_replication_role": "origin",
        "statement_timeout": "0",
        "check_function_bodies": "on",
        "row_security": "on",
        "quote_all_identifiers": "off",
        "standard_conforming_strings": "on",
        "backslash_quote": "safe_encoding",
        "array_nulls": "on",
        "transform_null_equals": "off",
        "xmlbinary": "base64",
        "xmloption": "content",
        "bytea_output": "hex",
        "datestyle": "ISO, MDY",
        "timezone": "UTC",
        "intervalstyle": "postgres",
        "extra_float_digits": "1",
        "lo_compat_privileges": "off",
        "lc_monetary": "C",
        "lc_numeric": "C",
        "lc_time": "C",
    }
)
"""The values on any server, for settings that a role or a database may change."""

OWN_SERVER: Mapping[str, str] = MappingProxyType(
    {
        **PINNED,
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "client_min_messages": "notice",
        "lc_messages": "C",
    }
)
"""The values on an embedded server, where nobody else's limits hold."""
