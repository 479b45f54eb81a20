"""Small projects to lint: folders of migrations in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgslate.project.project import Project
from pgslate.verbs.lint import Finding, lint

Folder = Callable[..., Project]
Found = Callable[[str, Project], list[Finding]]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """``folder({"1_a.sql": "..."})`` is a project of those files; ``config`` is its pgslate.toml."""

    def make(files: dict[str, str], config: str = "") -> Project:
        root = tmp_path / "migrations"
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        (tmp_path / "pgslate.toml").write_text(f'catalog = "migrations"\n{config}')
        return Project.open(start=tmp_path)

    return make


@pytest.fixture
def found() -> Found:
    """``found("down", project)`` is what that rule finds."""
    return lambda rule, project: list(lint(project, rules=[rule]).findings)
