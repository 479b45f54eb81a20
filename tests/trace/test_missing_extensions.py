"""Where no installed server has a catalog's extensions, the error says what needs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgslate.catalog.catalog import Catalog
from pgslate.errors import MissingExtensionError
from pgslate.trace.scratch_server import scratch_server


def test_a_file_that_needs_several_extensions_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").write_text("CREATE EXTENSION no_such_one; CREATE EXTENSION no_such_other;")
    with pytest.raises(MissingExtensionError) as raised, scratch_server(Catalog.load(tmp_path)):
        pass
    first, *servers = raised.value.message.splitlines()
    assert first == "no installed server has the extensions no_such_one and no_such_other, needed by 1_a.sql"
    assert all("1_a.sql" not in line for line in servers)
    assert raised.value.migrations == ("1_a.sql",)
    assert raised.value.fix == "use a server that has them with --dsn"
