"""The values of template variables that a user gives: each must be one that a file uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pgslate.errors import UsageError
from pgslate.project.configuration import suggestion

# A variable in one of the formats' templates: ${name}, :name, :'name', {{ .name }}
_VARIABLE = re.compile(r"(?:\$\{|:\"?'?|\{\{-?\s*\.?)([A-Za-z_][\w.]*)")


def check_defines(defines: Mapping[str, str], folder: Path) -> None:
    """Raise UsageError for a variable that stands in no file of the folder, with "did you mean"."""
    if not defines:
        return
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in _files(folder)]
    for name in defines:
        if any(name in text for text in texts):
            continue
        known = {found for text in texts for found in _VARIABLE.findall(text)}
        raise UsageError(
            f"no file of {folder} uses a variable {name!r}",
            fix=suggestion(name, known) if known else "leave it out: there are no variables",
        )


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]
