"""docs/cli.md is what --help says."""

from __future__ import annotations

from pathlib import Path

from pgslate.cli.manual import manual

MANUAL = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_manual_is_what_help_says() -> None:
    assert MANUAL.read_text(encoding="utf-8") == manual(), "run `make docs`"
