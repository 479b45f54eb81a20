"""An attribute and its value as a reader says it: "NOT NULL", "no default", "row level security disabled"."""

from __future__ import annotations

from .model import SchemaObject, Value

_PAIRS: dict[str, tuple[str, str]] = {
    "not_null": ("NOT NULL", "nullable"),
    "not_valid": ("NOT VALID", "validated"),
    "invalid": ("INVALID", "valid"),
    "disabled": ("its triggers disabled", "enforced"),
    "not_ready": ("not ready", "ready"),
    "row_security": ("row level security enabled", "row level security disabled"),
    "force_row_security": ("row level security forced", "row level security not forced"),
    "unpopulated": ("not populated", "populated"),
    "clustered": ("marked for CLUSTER", "not marked for CLUSTER"),
    "restrictive": ("restrictive", "permissive"),
    "virtual": ("virtual", "stored"),
    "cycle": ("CYCLE", "NO CYCLE"),
    "strict": ("STRICT", "called on null input"),
    "security_definer": ("SECURITY DEFINER", "SECURITY INVOKER"),
    "leakproof": ("LEAKPROOF", "not leakproof"),
    "detaching": ("being detached", "attached"),
    "inherited": ("inherited", "not inherited"),
    "local": ("declared here too", "only inherited"),
}
"""What the two values of a flag are called."""

_ABSENT: dict[str, str] = {
    "enabled": "enabled",
    "owner": "owned by the role that applied it",
    "roles": "for everybody",
    "command": "for all commands",
    "volatility": "volatile",
    "parallel": "parallel unsafe",
    "persistence": "logged",
    "access_method": "access method heap",
    "storage": "the type's storage",
    "acl": "default rights",
    "type": "type bigint",
    "increment": "increment 1",
    "cache": "cache 1",
    "minimum": "the type's minimum",
    "maximum": "the type's maximum",
    "start": "starts at its first value",
    "replica_identity": "replica identity default",
    "statistics": "statistics target default",
    "compression": "compression default",
}
"""What the absence of an attribute says, where "no such-and-such" would be wrong."""

_LEAD: dict[str, str] = {
    "definition": "",
    "body": "",
    "enabled": "",
    "persistence": "",
    "volatility": "",
    "fields": "",
    "owner": "owned by ",
    "acl": "rights ",
    "base": "over ",
    "default": "DEFAULT ",
    "generated": "GENERATED ALWAYS AS ",
    "identity": "identity ",
    "bound": "",
    "partition_key": "PARTITION BY ",
    "partition_of": "partition of ",
    "using": "USING ",
    "check": "WITH CHECK ",
    "command": "for ",
    "roles": "to ",
    "parallel": "parallel ",
    "statistics": "statistics target ",
    "replica_identity": "replica identity ",
    "not_null_constraint": "NOT NULL constraint ",
    "of_type": "OF ",
}
"""What stands before a value; for other attributes their own name."""


def says(kind: str, attribute: str, value: Value) -> str:
    """The attribute with that value, in a few words; the value itself is never cut."""
    if kind == "index" and attribute == "replica_identity":
        return "the replica identity" if value else "not the replica identity"
    if attribute in _PAIRS:
        return _PAIRS[attribute][0 if value else 1]
    plain = attribute.replace("_", " ")
    if not value:
        return _ABSENT.get(attribute, f"no {plain}")
    if value is True:
        return plain
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    if attribute == "comment":
        return f"comment {quoted(text)}"
    return _LEAD.get(attribute, f"{plain} ") + text


def describes(each: SchemaObject) -> str:
    """What an object is, for where it is missing or shouldn't be there."""
    definition = each.get("definition")
    if each.kind.endswith(" column") and each.get("type"):
        return column(each)
    if isinstance(definition, str) and each.kind not in ("view", "materialized view"):
        return definition
    return f"{each.kind} {each.name}"


def column(each: SchemaObject) -> str:
    """A column's type and constraints, as CREATE TABLE says them.

    >>> column(SchemaObject("table column", "t.a", ("table", "t"), {"type": "text", "not_null": True}))
    'text NOT NULL'
    """
    words = [str(each.get("type"))]
    if collation := each.get("collation"):
        words.append(f"COLLATE {collation}")
    if default := each.get("default"):
        words.append(f"DEFAULT {default}")
    if generated := each.get("generated"):
        words.append(f"GENERATED ALWAYS AS ({generated}) {'VIRTUAL' if each.get('virtual') else 'STORED'}")
    if identity := each.get("identity"):
        words.append(f"GENERATED {str(identity).upper()} AS IDENTITY")
    if each.get("not_null"):
        words.append("NOT NULL")
    return " ".join(words)


def quoted(text: str) -> str:
    """Text as an SQL literal, for a reader.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"
