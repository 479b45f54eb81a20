"""A schema as a document: small, line by line, and the same again when it is read back."""

from __future__ import annotations

import json
import pickle

from tests.schema.conftest import Connection

from pgslate.schema import Schema, SchemaObject
from pgslate.schema.read import read

TABLE = ("table", "public.t")
PLAIN = Schema(
    {
        TABLE: SchemaObject(*TABLE, TABLE, {"columns": ("b", "a")}),
        ("table column", "public.t.a"): SchemaObject("table column", "public.t.a", TABLE, {"type": "text"}),
        ("table column", "public.t.b"): SchemaObject(
            "table column", "public.t.b", TABLE, {"type": "integer", "not_null": True}
        ),
        ("schema", "s"): SchemaObject("schema", "s", ("schema", "s"), {}),
    },
    17,
)


def test_each_object_is_a_line_and_columns_stand_in_their_order() -> None:
    assert PLAIN.dumps().splitlines() == [
        '{"major":17,"objects":[',
        '["schema","s",{}],',
        '["table","public.t",{"columns":["b","a"]},[',
        '  ["table column","public.t.b",{"type":"integer","not_null":true}],',
        '  ["table column","public.t.a",{"type":"text"}]]]',
        "]}",
    ]


def test_the_document_is_json_and_reads_back_the_same() -> None:
    assert Schema.loads(PLAIN.dumps()) == PLAIN
    assert Schema.from_json(json.loads(json.dumps(PLAIN.to_json()))) == PLAIN


def test_a_rich_schema_reads_back_the_same_and_gives_the_same_text(rich: Connection) -> None:
    schema = read(rich)
    again = Schema.loads(schema.dumps())
    assert again == schema
    assert again.dumps() == schema.dumps()


def test_a_part_without_its_owner_keeps_its_owners_name() -> None:
    alone = Schema({("table column", "public.t.a"): PLAIN.objects["table column", "public.t.a"]})
    assert Schema.loads(alone.dumps()) == alone


def test_a_schema_crosses_processes() -> None:
    assert pickle.loads(pickle.dumps(PLAIN)) == PLAIN  # noqa: S301  # our own bytes


def test_objects_are_taken_and_left_out_with_their_parts() -> None:
    assert set(PLAIN.within([TABLE]).objects) == set(PLAIN.objects) - {("schema", "s")}
    assert set(PLAIN.without([TABLE]).objects) == {("schema", "s")}
    assert [each.name for each in PLAIN.parts[TABLE]] == ["public.t.a", "public.t.b"]
