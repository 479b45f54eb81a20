"""Applying a slice to a target: plan it against the ledger, run it under a lock, verify what came out."""

from pgslate.applying.executing import AppliedMigration
from pgslate.applying.plan import Excluded, Plan, Step, plan
from pgslate.applying.progress import Progress, Silent
from pgslate.applying.run import Applied, apply, plan_for
from pgslate.applying.status import Status, status

__all__ = [
    "Applied",
    "AppliedMigration",
    "Excluded",
    "Plan",
    "Progress",
    "Silent",
    "Status",
    "Step",
    "apply",
    "plan",
    "plan_for",
    "status",
]
