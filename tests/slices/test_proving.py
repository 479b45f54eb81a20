"""Proofs of many slices side by side."""

from __future__ import annotations

import pytest
from tests.slices.judging import court

from pgslate.slices.proof import prove_many
from pgslate.slices.selection import select
from pgslate.slices.slice import Form
from pgslate.targets.embedded.server import Server


def test_an_interruption_begins_no_further_proof(server: Server) -> None:
    told = []

    def interrupt(done: int, of: int) -> None:
        told.append((done, of))
        raise KeyboardInterrupt

    names = [f"t{number}" for number in range(8)]
    with court(server, *(f"CREATE TABLE {name} (id int);" for name in names)) as case:
        form: Form = "files"
        asked = [(select(case.catalog, case.trace, [name]), form) for name in names]
        with pytest.raises(KeyboardInterrupt):
            prove_many(case.catalog, case.trace, asked, workers=1, progress=interrupt)
    assert len(told) <= 2  # the next may have begun by then


def test_where_nothing_is_to_be_proved_no_server_is_started(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with court(server, "CREATE TABLE a (i int);") as case:
        monkeypatch.setattr(Server, "start", None)
        assert prove_many(case.catalog, case.trace, []).proofs == ()
