"""Folders of migrations, written from a mapping of file to text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pgslate.catalog.catalog import Catalog

Load = Callable[..., Catalog]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """Write the files, and get the folder they are in."""

    def write(files: Mapping[str, str | bytes]) -> Path:
        root = tmp_path / "project" / "migrations"
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return write


@pytest.fixture
def load(folder: Callable[[Mapping[str, str | bytes]], Path]) -> Load:
    """Write the files and load them as a catalog; further arguments are those of ``Catalog.load``."""

    def of(files: Mapping[str, str | bytes], **options: object) -> Catalog:
        return Catalog.load(folder(files), **options)  # type: ignore[arg-type]  # handed through

    return of
