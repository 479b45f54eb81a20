"""Renders the chart's templates: the part of Go's template language that they use, and no more of it.

A chart that needs more than this is more than this chart needs; ``render`` then says where.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

_ACTION = re.compile(r"(\s*)\{\{(-?)\s*(.*?)\s*(-?)\}\}(\s*)", re.DOTALL)
_WORD = re.compile(r'"[^"]*"|\||\S+')


class Chart:
    """A chart's folder, with values in place of its own where some are given."""

    def __init__(self, folder: Path, **values: Any) -> None:
        self._folder = folder
        self.root: Json = {
            "Values": merged(yaml.safe_load((folder / "values.yaml").read_text()), values),
            "Release": {"Name": "demo", "Namespace": "test"},
        }
        self._defined: dict[str, list[Any]] = {}
        self._run(_parsed((folder / "templates" / "_pod.tpl").read_text()), self.root)

    def render(self, template: str) -> list[Json]:
        """The objects that a template makes."""
        text = self._run(_parsed((self._folder / "templates" / template).read_text()), self.root)
        return [document for document in yaml.safe_load_all(text) if document]

    def _run(self, nodes: list[Any], dot: Any) -> str:
        out = ""
        for node in nodes:
            match node:
                case str():
                    out += node
                case ("value", expression):
                    out += _shown(self._value(expression, dot))
                case ("if", expression, yes, no):
                    out += self._run(yes if self._value(expression, dot) else no, dot)
                case ("range", expression, body, _):
                    out += "".join(self._run(body, item) for item in self._value(expression, dot))
                case ("define", name, body, _):
                    self._defined[name.strip('"')] = body
                case _:
                    raise ValueError(f"not part of the language that the chart may use: {node}")
        return out

    def _value(self, expression: str, dot: Any) -> Any:
        value: Any = None
        for number, call in enumerate(expression.split(" | ")):
            words = _WORD.findall(call)
            value = self._call(words, dot, [value] if number else [])
        return value

    def _call(self, words: list[str], dot: Any, piped: list[Any]) -> Any:
        name, *rest = words
        arguments = [self._atom(word, dot) for word in rest] + piped
        match name:
            case "quote":
                return '"' + _shown(arguments[0]).replace("\\", "\\\\").replace('"', '\\"') + '"'
            case "printf":
                return arguments[0] % tuple(arguments[1:])
            case "toYaml":
                return yaml.safe_dump(arguments[0], sort_keys=False).rstrip("\n")
            case "upper":
                return arguments[0].upper()
            case "replace":
                return arguments[2].replace(arguments[0], arguments[1])
            case "nindent":
                pad = " " * arguments[0]
                return "\n" + "\n".join(pad + line if line else line for line in arguments[1].splitlines())
            case "include":
                return self._run(self._defined[arguments[0]], arguments[1])
            case "required":
                if not arguments[1]:
                    raise ValueError(arguments[0])
                return arguments[1]
            case "join":
                return arguments[0].join(arguments[1])
        return self._atom(name, dot)

    def _atom(self, word: str, dot: Any) -> Any:
        if word.startswith('"'):
            return word[1:-1]
        if word.isdigit():
            return int(word)
        if word[0] not in ".$":
            raise ValueError(f"not part of the language that the chart may use: {word!r}")
        value = self.root if word.startswith("$") else dot
        for part in filter(None, word.lstrip("$").split(".")):
            value = value[part]  # a KeyError here names a value that values.yaml doesn't have
        return value


def _parsed(text: str) -> list[Any]:
    """The template as a tree: strings, and (what, expression, body, else)."""
    text = re.sub(r"\{\{/\*.*?\*/\}\}", "", text, flags=re.DOTALL)
    nodes, end = _block(_tokens(text))
    assert end == "", f"an end without a beginning: {end}"
    return nodes


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    for match in _ACTION.finditer(text):
        before, trims, action, trims_after, after = match.groups()
        yield "text", text[at : match.start()] + ("" if trims else before)
        yield "action", action
        at = match.end() if trims_after else match.end() - len(after)
    yield "text", text[at:]


def _block(tokens: Iterator[tuple[str, str]]) -> tuple[list[Any], str]:
    nodes: list[Any] = []
    for kind, token in tokens:
        if kind == "text":
            nodes.append(token)
        elif token in ("end", "else"):
            return nodes, token
        elif (word := token.split(" ", 1)[0]) in ("if", "range", "define"):
            body, end = _block(tokens)
            other, _ = _block(tokens) if end == "else" else ([], "")
            nodes.append((word, token.split(" ", 1)[1], body, other))
        else:
            nodes.append(("value", token))
    return nodes, ""


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {
            key: merged(base.get(key), over[key]) if key in over else base[key] for key in {**base, **over}
        }
    return over
