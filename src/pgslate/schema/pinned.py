"""Statements in one message, with the settings pinned that the spelling of definitions depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import sql

_SETTINGS = {
    "search_path": "",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "xmloption": "content",
    "jit": "off",
}
"""``jit`` changes no definition, but takes longer than the queries."""

LEAD = 2
"""How many results come before those of the statements."""


def pinned(*statements: sql.Composable) -> sql.Composed:
    """One message that runs the statements with the settings pinned, and puts them back.

    The first result says nothing, the second's last column is ``current_user``, then come the statements'.
    Where it is no part of a transaction the message is one by itself, so that what it sets never outlives it;
    where it fails inside of one, the roll back takes it away.
    """
    from psycopg import sql  # here, since a plan imports this file and needs no driver

    names = sql.Literal(list(_SETTINGS))
    remember = sql.SQL(
        "SELECT set_config('pgslate.remembered', (SELECT json_object_agg(name, current_setting(name))::text"
        " FROM unnest({}::text[]) name), true)"
    ).format(names)
    pin = sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(value))
        for name, value in _SETTINGS.items()
    )
    restore = sql.SQL(
        "SELECT set_config(key, value, true)"
        " FROM pg_catalog.json_each_text(current_setting('pgslate.remembered')::json)"
    )
    return sql.SQL(";").join([remember, sql.SQL("SELECT {}, current_user").format(pin), *statements, restore])
