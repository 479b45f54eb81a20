"""A process to be killed: ``python -m tests.execution.victim FOLDER TABLE,...`` applies to each DSN it reads.

For each line of its input it forks; the child applies the slice to that DSN, and its number is printed at
once, so that whoever reads it can kill it. When it is gone, a line says how: 0, 1, or minus a signal.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from pgslate.catalog.catalog import Catalog
from pgslate.slices.selection import select
from pgslate.slices.slice import Slice, slice_of, whole
from pgslate.targets.target import Target
from pgslate.trace.trace_cache import trace_of
from pgslate.verbs.apply import apply


def load(folder: Path, tables: tuple[str, ...]) -> Slice:
    """The slice, from the cache where it is traced already."""
    catalog = Catalog.load(folder).parse()
    traced = trace_of(catalog)
    if not tables:
        return whole(catalog, traced)
    return slice_of(catalog, traced, select(catalog, traced, tables), tables=tables)


def main() -> None:
    slice_ = load(Path(sys.argv[1]), tuple(sys.argv[2].split(",")) if sys.argv[2:] else ())
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _apply(slice_, line.strip())
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _apply(slice_: Slice, dsn: str) -> None:
    status = 1
    try:
        apply(slice_, Target(dsn), lock_timeout=20)
        status = 0
    except BaseException:  # a child has nobody to raise to
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
