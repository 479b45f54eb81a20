"""docs/performance.md: a section, between its marks, takes the place of the one that stood there."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def put(section: str) -> None:
    """Put a section into the page; its first and last lines are its marks. A new one comes last."""
    page = DOCS / "performance.md"
    text = page.read_text() if page.exists() else "# Performance\n"
    lines = section.strip().split("\n")
    head, found, rest = text.partition(lines[0])
    tail = rest.partition(lines[-1])[2].strip() if found else ""
    page.write_text("\n\n".join(filter(None, [head.rstrip(), section.strip(), tail])) + "\n")
