"""``python -m datastorage.e2e gateway``: one service's suite, or several, from a checkout of the project."""

from __future__ import annotations

import sys
from pathlib import Path

from datastorage.services import NAMES

SUITES = Path(__file__).parents[4] / "tests" / "datastorage" / "e2e"

#: The suite of the failure that started it all runs with that of the team that reported it.
_ALSO = {"workflowexecution": ("test_without_migrations.py",)}


def main(names: list[str]) -> int:
    """Runs the suites of these services, or of all seven; pytest's exit status, or 2 for an unknown name."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.stderr.write(f"there is no service {unknown[0]!r}: use {', '.join(NAMES)}\n")
        return 2
    if not SUITES.is_dir():
        sys.stderr.write(f"the suites are in a checkout of the project, and not in {SUITES}\n")
        return 2
    import pytest

    files = [file for name in names or NAMES for file in (f"test_{name}.py", *_ALSO.get(name, ()))]
    return pytest.main(["-q", *(str(SUITES / file) for file in files)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
