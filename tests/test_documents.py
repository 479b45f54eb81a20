"""The documents are complete where that can be counted, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pgslate.errors import ConfigError
from pgslate.project.configuration import Config

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("datastorage/*.md")])
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

_LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_pages_links_lead_to_files(page: Path) -> None:
    links = _LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_variable_is_documented() -> None:
    read = set()
    for file in (ROOT / "src").rglob("*.py"):
        read |= set(re.findall(r"\bPGSLATE_[A-Z]+(?:_[A-Z]+)*", file.read_text(encoding="utf-8")))
    assert {name for name in read if f"`{name}`" not in CONFIGURATION} == set()


def test_every_key_of_the_configuration_is_documented(tmp_path: Path) -> None:
    file = tmp_path / "pgslate.toml"
    file.write_text("no_such_key = 1\n")
    with pytest.raises(ConfigError) as caught:
        Config.load(file)
    known = re.findall(r"\b[a-z_]+\b", caught.value.fix.removeprefix("use one of "))
    assert len(known) > 10
    assert [key for key in known if not re.search(rf"\| `\[?{key}\b", CONFIGURATION)] == []
