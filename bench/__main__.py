"""All benchmarks, one after another; each prints ratios measured in one run.

python -m bench                       all
python -m bench replay slicing        some, each with its own defaults
"""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = ("commands", "replay", "slicing", "clones", "kubernetes", "service")


def main() -> None:
    """Run those named on the command line, or all."""
    asked = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in asked if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"there is no benchmark {unknown[0]!r}: use {', '.join(BENCHMARKS)}")
    for name in asked:
        print(f"== {name}", flush=True)
        sys.argv = [f"bench.{name}"]
        importlib.import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
