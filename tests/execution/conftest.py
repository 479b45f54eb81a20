"""Catalogs written in tests, their slices, and databases to apply them to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile
from pgslate.slices.selection import select
from pgslate.slices.slice import Form, Slice, slice_of, whole
from pgslate.targets.embedded.server import Server
from pgslate.trace.tracer import trace

_numbers = itertools.count(1)

SliceOf = Callable[..., Slice]


@pytest.fixture
def slice_for(server: Server, tmp_path: Path) -> SliceOf:
    """``slice_for({"001_a.sql": "CREATE TABLE a();"}, "a")``: the slice of a catalog of these files, traced.

    Without tables it is the whole. ``prelude`` is SQL that only the scratch database gets: what fails without
    it is a migration that can be traced, and not applied.
    """

    def make(
        files: Mapping[str, str], *tables: str, form: Form = "files", prelude: tuple[str, ...] = ()
    ) -> Slice:
        number = next(_numbers)
        folder = tmp_path / f"migrations{number}"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        catalog = Catalog.load(folder)
        name = f"applying_scratch_{number}"
        try:
            before = [PreludeFile("prelude", text) for text in prelude]
            traced = trace(catalog, server.create_database(name), prelude=before).trace
        finally:
            server.drop_database(name)
        if not tables:
            return whole(catalog, traced, form=form)
        units = select(catalog, traced, tables)
        return slice_of(catalog, traced, units, tables=tables, form=form)

    return make


@pytest.fixture
def role(server: Server) -> str:
    """A role that may log in, and has no right but everybody's; it goes with the server."""
    name = f"applying_role_{next(_numbers)}"
    with server.target().connect(autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN".encode())
    return name
