"""The features that a server needs to run a catalog and its prelude, as far as their text shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from pgslate.catalog.prelude import PreludeFile, prelude_extensions
from pgslate.catalog.statements import extension_of

if TYPE_CHECKING:
    from pgslate.catalog.catalog import Catalog

_CREATE_EXTENSION = re.compile(r'create\s+extension\s+(?:if\s+not\s+exists\s+)?"?([\w-]+)"?', re.IGNORECASE)
_FEATURES: Mapping[str, re.Pattern[str]] = {
    "icu": re.compile(r"\bprovider\s*=?\s*'?icu\b|\blocale_provider\s*=?\s*'?icu\b|-x-icu\b", re.IGNORECASE),
    "xml": re.compile(
        r"\bxml(?:parse|element|forest|concat|agg|table|serialize|comment|root|pi|exists)\s*\(|\bxpath\s*\("
        r'|::\s*xml\b|[\w"]\s+xml(?:\[\])?\s*(?:[,);]|default|not\s+null|null|check|generated)',
        re.IGNORECASE,
    ),
    "lz4": re.compile(r"\bcompression\s*(?:=|to)?\s*'?lz4\b", re.IGNORECASE),
}
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def extensions(catalog: Catalog, prelude: Iterable[PreludeFile] = ()) -> dict[str, str]:
    """The extensions that statements create, each with the file that does."""
    found = prelude_extensions(prelude)
    for migration in catalog:
        for statement in migration.statements:
            if name := extension_of(statement):
                found.setdefault(name, migration.file)
    return found


def mentioned_extensions(catalog: Catalog, prelude: Iterable[PreludeFile] = ()) -> frozenset[str]:
    """The extensions that some text creates, which may be code that is never run."""
    return frozenset(name for text in _texts(catalog, prelude) for name in _CREATE_EXTENSION.findall(text))


def features(catalog: Catalog, prelude: Iterable[PreludeFile] = ()) -> frozenset[str]:
    """The libraries that a server has to be built with: ``icu``, ``xml`` (libxml), ``lz4``."""
    found = set()
    for text in _texts(catalog, prelude):
        bare = _COMMENT.sub(" ", text)
        found |= {name for name, pattern in _FEATURES.items() if pattern.search(bare)}
    return frozenset(found)


def _texts(catalog: Catalog, prelude: Iterable[PreludeFile]) -> Iterator[str]:
    yield from (file.text for file in prelude)
    yield from (migration.source for migration in catalog)
