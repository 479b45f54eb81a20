"""PostgreSQL in a namespace as a target: it is found, reached, and logged in to."""

from __future__ import annotations

from pgslate.targets.target import Target


def test_a_namespace_is_all_that_has_to_be_said(target: Target) -> None:
    with target.connect() as connection:
        row = connection.execute("SELECT current_user, current_database()").fetchone()
    assert row == ("slm_user", "action_history")
