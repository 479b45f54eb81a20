"""The section of docs/performance.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

from bench import page
from bench.clones.budgets import budgets
from bench.clones.contenders import CONTENDERS, PACKAGES, WORK, version
from bench.clones.measuring import Measured
from bench.clones.plotting import plot

from pgslate.targets.embedded.server import Server

BEGIN, END = "<!-- bench.clones: begin -->", "<!-- bench.clones: end -->"


def section(found: Sequence[Measured]) -> str:
    """What was measured, as Markdown."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES if version(name))
    with Server.start() as server:
        postgres = server.installation.version
    lines = [
        BEGIN,
        "## A database for every test",
        "",
        "What a test pays: from asking for a database until it has written a row, and giving it back;"
        f" in between it waits {WORK * 1000:.0f} ms, unless the line says otherwise. In milliseconds, median"
        " and 99th percentile; the ratio is that of medians, to a plain `CREATE DATABASE ... TEMPLATE` and"
        " `DROP DATABASE` on a connection that stays. *Run* is the mean that a worker spends on a test in"
        " all, with what is dropped later or at the end. Every tool copies the whole schema, but for the"
        " lines that say 5 tables.",
        "",
        f"PostgreSQL {postgres}, {versions}, Python {platform.python_version()}, {os.cpu_count()} cores,"
        f" {platform.system()} {platform.machine()}. The durable server keeps its data on disk, the other"
        " in memory, as pgslate's own does. Made by `python -m bench.clones --write`.",
        "",
        "![Milliseconds that a test pays, by tables](performance-clones.svg)",
        "",
        "The budgets, as measured in this run:",
        "",
        "| | | budget | measured |",
        "|---|---|---|---|",
        *(f"| {setting.label} | {' | '.join(words)} |" for setting, *words in budgets(found)),
        "",
        "No copy takes less than one of an empty database. That is 300 files; pgslate's templates are made"
        " from one whose catalogs were rewritten once, and has 228. And a pool"
        " that makes each database anew can't be ahead of tests that take less than making one does, for as"
        " many workers as make them; one that only rows were written to is put back instead.",
        "",
        "How each copies:",
        "",
        *(f"- {each.name}: {each.copies}" for each in CONTENDERS.values()),
        "",
    ]
    for setting in dict.fromkeys(one.setting for one in found):
        lines += [
            f"### {setting.label}",
            "",
            "| | tests | until DSN | in all | p99 | run | ratio |",
            "|---|---:|---:|---:|---:|---:|---:|",
            *(_row(one) for one in found if one.setting == setting),
            "",
        ]
    return "\n".join([*lines, END])


def _row(one: Measured) -> str:
    numbers = (
        f"{one.wait:.1f}",
        f"{one.median:.1f}",
        f"{one.p99:.1f}",
        f"{one.run:.1f}",
        f"{one.ratio:.2f}",
    )
    return f"| {one.contender} | {one.tests} | {' | '.join(numbers)} |"


def write_docs(found: Sequence[Measured]) -> None:
    """Put the section and its plot into docs/."""
    page.put(section(found))
    (page.DOCS / "performance-clones.svg").write_text(plot(found))
