"""No password in any output: what servers, clusters and migrations quote is masked before it is told."""

from __future__ import annotations

import re

# In a string, as in what a DO block executes, quotes are doubled.
_VALUE = r"""''[^']+''|[eE]?'(?:[^'\\]|\\.|'')*'|"[^"]*"|[^\s&]+"""
_PASSWORDS = (
    # A connection string's or a JSON document's key; SQL's PASSWORD '...'.
    re.compile(rf"""(password["']?\s*[=:]\s*|password\s*(?=[eE]?')|password\s+(?="))({_VALUE})""", re.I),
    re.compile(r"(://[^\s:/@]*:)(\S+)(?=@)"),
)


def without_passwords(text: str) -> str:
    """The text with each password in it masked.

    >>> without_passwords("can't reach postgresql://me:secret@host/db: password authentication failed")
    "can't reach postgresql://me:***@host/db: password authentication failed"
    >>> without_passwords("ALTER ROLE app PASSWORD 'it''s'; host=db password='a b' user=me")
    'ALTER ROLE app PASSWORD ***; host=db password=*** user=me'
    """
    for pattern in _PASSWORDS:
        text = pattern.sub(r"\1***", text)
    return text
