"""Lists of varchar values as they were written, where PostgreSQL would read its own words otherwise.

PostgreSQL writes ``status IN ('a', 'b')`` of a varchar column as a comparison of text with a cast array, and
reads that back as an array of cast elements: the definition would say the same in other words. Without the
casts it is read as it was first.
"""

from __future__ import annotations

import re

_LITERALS = r"""
    (?P<literal> [eE]'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
        | (?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?P=tag))
"""
_NAME = r'(?:\w+|"(?:[^"]|"")+")'
_ITEM = r"'(?:[^']|'')*'::character[ ]varying"
_CAST_LIST = rf"""
    \((?P<column>{_NAME}(?:\.{_NAME})?)\)::text
    [ ](?P<compares>=[ ]ANY|<>[ ]ALL)
    [ ]\(\(ARRAY\[(?P<items>{_ITEM}(?:,[ ]{_ITEM})*)\]\)::text\[\]\)
"""
_TOKEN = re.compile(f"{_LITERALS}|{_CAST_LIST}", re.VERBOSE | re.DOTALL)


def without_cast_lists(text: str) -> str:
    """A definition without the casts; strings, names in quotes and function bodies stay as they are.

    >>> print(without_cast_lists("((s)::text = ANY ((ARRAY['a'::character varying])::text[]))"))
    (s = ANY (ARRAY['a'::character varying]))
    >>> text = "AS $$(s)::text = ANY ((ARRAY['a'::character varying])::text[])$$"
    >>> without_cast_lists(text) == text
    True
    """
    return _TOKEN.sub(_without_casts, text) if "::character varying" in text else text


def _without_casts(token: re.Match[str]) -> str:
    if token["literal"] is not None:
        return token[0]
    return f"{token['column']} {token['compares']} (ARRAY[{token['items']}])"
