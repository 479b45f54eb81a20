"""The part of pgparse that pgslate uses; pgparse itself ships no type hints."""

from typing import Any

class PGQueryError(Exception):
    """PostgreSQL's parser refuses the text; ``position`` counts characters from 1."""

    message: str
    position: int

def parse(statement: str) -> list[dict[str, Any]]:
    """The statements of a text, each as ``{"stmt": tree, "stmt_location": ..., "stmt_len": ...}``."""

def parse_pgsql(function: str) -> list[dict[str, Any]]:
    """The bodies of the PL/pgSQL functions that a text creates."""
