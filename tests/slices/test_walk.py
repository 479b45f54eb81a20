"""The walk over effects, without a server: effects are written down as a trace would have them."""

from __future__ import annotations

from pgslate.slices.slice import required_units
from pgslate.slices.walk import causes, walk_of
from pgslate.trace.effects import Effect, Trace, UnitInfo

FIRST, SECOND, THIRD = 0, 1, 2


def trace_of_effects(units: list[UnitInfo], *effects: Effect) -> Trace:
    """Each effect is a file of its own."""
    numbered = tuple(each._replace(migration=number) for number, each in enumerate(effects))
    migrations = tuple((str(number), "") for number in range(len(effects)))
    return Trace(migrations, 18, tuple(units), numbered, {}, {"major": 18, "objects": []})


def table(name: str, made: int | None, dropped: int | None = None) -> UnitInfo:
    return UnitInfo("table", f"public.{name}", made, dropped)


def walked(trace: Trace, *units: int) -> list[int]:
    return sorted(walk_of(trace, whole_files=False).walk(units).effects)


def effect(**fields: object) -> Effect:
    return Effect(0, 0, 1, "")._replace(
        **{
            name: frozenset(value) if isinstance(value, set) else value  # type: ignore[arg-type]
            for name, value in fields.items()
        }
    )


def test_a_dependency_made_anew_by_the_statement_that_took_it_away_still_holds_for_rows() -> None:
    trace = trace_of_effects(
        [table("types", 0), table("items", 1)],
        effect(creates={FIRST}),
        effect(creates={SECOND}, links={(SECOND, FIRST)}),
        effect(changes={SECOND}, unlinks={(SECOND, FIRST)}, links={(SECOND, FIRST)}),
        effect(changes={FIRST}),
        effect(writes={SECOND}),
    )
    assert walked(trace, SECOND) == [0, 1, 2, 3, 4]


def test_a_dependency_that_was_taken_away_does_not_hold_for_rows() -> None:
    trace = trace_of_effects(
        [table("types", 0), table("items", 1)],
        effect(creates={FIRST}),
        effect(creates={SECOND}, links={(SECOND, FIRST)}),
        effect(changes={SECOND}, unlinks={(SECOND, FIRST)}),
        effect(changes={FIRST}),
        effect(writes={SECOND}),
    )
    assert walked(trace, SECOND) == [0, 1, 2, 4]


def test_what_still_leans_on_a_changed_unit_is_loosened_as_in_the_whole_catalog() -> None:
    trace = trace_of_effects(
        [table("users", 0), table("orders", 1), table("lines", 2)],
        effect(creates={FIRST}),
        effect(creates={SECOND}, links={(SECOND, FIRST)}),
        effect(creates={THIRD}, reads={SECOND}),
        effect(changes={SECOND}, unlinks={(SECOND, FIRST)}),
        effect(changes={FIRST}),
    )
    assert walked(trace, FIRST) == [0, 4]
    assert walked(trace, FIRST, THIRD) == [0, 1, 2, 3, 4]


def test_a_dependency_that_a_statement_makes_anew_has_to_be_loosened_later() -> None:
    trace = trace_of_effects(
        [table("users", 0), table("orders", 1), table("lines", 2)],
        effect(creates={FIRST}),
        effect(creates={SECOND}, links={(SECOND, FIRST)}),
        effect(changes={SECOND}, unlinks={(SECOND, FIRST)}, links={(SECOND, FIRST)}),
        effect(creates={THIRD}, reads={SECOND}),
        effect(changes={SECOND}, unlinks={(SECOND, FIRST)}),
        effect(changes={FIRST}),
    )
    assert walked(trace, FIRST, THIRD) == [0, 1, 2, 3, 4, 5]


def test_a_dependency_of_a_prelude_is_loosened_as_well() -> None:
    trace = trace_of_effects(
        [table("users", None), table("orders", None), table("lines", 0)],
        effect(creates={THIRD}, reads={FIRST}),
        effect(changes={SECOND}, unlinks={(SECOND, FIRST)}),
        effect(changes={FIRST}),
    )
    assert walked(trace, FIRST) == [1, 2]


def test_a_name_that_was_taken_before_the_first_migration_is_freed_before_it_is_taken_again() -> None:
    trace = trace_of_effects(
        [table("users", None, 0), table("users", 1)],
        effect(drops={FIRST}, frees={"relation:public.users"}),
        effect(creates={SECOND}, takes={"relation:public.users"}),
    )
    assert walked(trace, SECOND) == [0, 1]


def test_tables_that_need_each_other_share_what_was_found_out_about_them() -> None:
    trace = trace_of_effects(
        [table("users", 0), table("orders", 1)],
        effect(creates={FIRST}),
        effect(creates={SECOND}, links={(SECOND, FIRST)}),
        effect(changes={FIRST, SECOND}),
    )
    walk = walk_of(trace, whole_files=False)
    assert walk.walk([FIRST]) is walk.walk([SECOND])


def test_every_statement_of_a_walk_has_its_cause() -> None:
    trace = trace_of_effects(
        [table("users", None, 1), table("orders", 0), table("users", 2), table("lines", 3)],
        effect(creates={SECOND}, session=True),
        effect(drops={FIRST}, frees={"relation:public.users"}),
        effect(creates={THIRD}, takes={"relation:public.users"}, reads={SECOND}),
        effect(creates={3}, links={(THIRD, SECOND)}),
    )
    for whole_files in (False, True):
        walk = walk_of(trace, whole_files=whole_files)
        required = required_units(trace, [THIRD, 3])
        found = walk.walk(required)
        of_statements, of_units = causes(walk, found, required, {})
        assert of_statements.keys() == found.effects
        assert of_units.keys() >= required.keys()
