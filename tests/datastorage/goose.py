"""Runs goose files with nothing but psycopg: Up and Down, to hold the two against each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

MIGRATIONS = Path(__file__).parents[2] / "datastorage" / "src" / "datastorage" / "migrations"


@dataclass(frozen=True, slots=True)
class GooseFile:
    """One migration: its version, and the statements of either direction."""

    version: int
    name: str
    up: tuple[str, ...]
    down: tuple[str, ...]
    transactional: bool

    def needs_vector(self) -> bool:
        """True where the file, or the table it changes, is pgvector's business."""
        return self.version in {5, 9, *range(15, 23)}


def read_all(folder: Path = MIGRATIONS) -> list[GooseFile]:
    """Every migration of ``folder``, by number."""
    return sorted((read(path) for path in folder.glob("*.sql")), key=lambda f: f.version)


def read(path: Path) -> GooseFile:
    """The migration in one file."""
    text = path.read_text(encoding="utf-8")
    _, _, sections = text.partition("-- +goose Up\n")
    up, _, down = sections.partition("-- +goose Down\n")
    return GooseFile(
        version=int(path.name.partition("_")[0]),
        name=path.name,
        up=tuple(_statements(up)),
        down=tuple(_statements(down)),
        transactional="-- +goose NO TRANSACTION" not in text,
    )


def run(connection: psycopg.Connection, file: GooseFile, statements: tuple[str, ...]) -> None:
    """Runs statements of ``file``, in one transaction where it may be. Give it an autocommit connection."""
    if file.transactional:
        with connection.transaction():
            for statement in statements:
                connection.execute(statement.encode())
    else:
        for statement in statements:
            connection.execute(statement.encode())


def _statements(section: str) -> Iterator[str]:
    pattern = r"-- \+goose StatementBegin\n(.*?)-- \+goose StatementEnd\n"
    for index, part in enumerate(re.split(pattern, section, flags=re.DOTALL)):
        if index % 2:
            yield part.strip()
            continue
        for statement in re.split(r";[ \t]*(?:\n|$)", part):
            if re.sub(r"--[^\n]*", "", statement).strip():
                yield statement.strip()
