"""`apply`: what was done, for people and for programs."""

from __future__ import annotations

from typing import Any

from pgslate.report.columns import counted
from pgslate.verbs.provision import Provisioned


def text(done: Provisioned, label: str) -> str:
    """One line on what was done, and one on each partition that was made."""
    plan = done.applied.plan
    what = ", ".join(plan.tables) or "everything"
    if done.applied.nothing_to_do:
        lines = [
            f"{label}: nothing to do for {what}; {counted(len(plan.applied), 'migration')} applied before;"
            " verified"
        ]
    else:
        ran = done.applied.migrations
        took = sum(each.seconds for each in ran)
        statements = sum(each.statements for each in ran)
        form = "" if plan.form == "files" else f" in the {plan.form} form"
        lines = [
            f"{label}: applied {counted(len(ran), 'migration')}{form},"
            f" {counted(statements, 'statement')} in {took * 1000:.0f} ms; verified for {what}"
        ]
    lines += [f"made partition {name}" for name in done.partitions]
    return "\n".join(lines)


def document(done: Provisioned) -> dict[str, Any]:
    """What was done, for programs."""
    applied = done.applied
    return {
        "tables": list(applied.plan.tables),
        "form": applied.plan.form,
        "applied": [
            {
                "version": each.version,
                "file": each.file,
                "statements": each.statements,
                "duration_ms": round(each.seconds * 1000, 3),
            }
            for each in applied.migrations
        ],
        "before": list(applied.plan.applied),
        "partitions": list(done.partitions),
        "nothing_to_do": done.nothing_to_do,
        "verified": True,  # else an error was raised
    }
