"""`explore` as one HTML page: the data as JSON, in the page ``explore.html`` beside this file."""

from __future__ import annotations

import json
from html import escape
from importlib import resources
from typing import Any


def page(data: dict[str, Any]) -> str:
    """The page that shows what ``exploring.gathered`` gave. Nothing in it can end the script it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    template = resources.files("pgslate.report").joinpath("explore.html").read_text(encoding="utf-8")
    before, _, after = template.partition("/*DATA*/")
    return before.replace("<!--NAME-->", escape(str(data["name"]))) + text + after
