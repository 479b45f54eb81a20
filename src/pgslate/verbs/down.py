"""``down``: end the server that ``up`` started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgslate.errors import ConfigError
from pgslate.project.configuration import Config
from pgslate.project.own_folder import configuration, is_own, own_folder, usual_folder
from pgslate.project.project import Project
from pgslate.targets.embedded import named_server


@dataclass(frozen=True, slots=True)
class DownResult:
    """The names of the servers that were ended; none where none was up."""

    stopped: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """``stopped``."""
        return {"stopped": list(self.stopped)}


def down(project: Project | None = None, *, names: Sequence[str] | None = None) -> DownResult:
    """End the servers that ``up`` started for a project (by default: the nearest), and remove their data.

    Args:
        project: Whose server to end.
        names: The servers to end instead, by name; ``servers_up()`` are all.
    """
    if names is None:
        names = names_of(project) if project else names_for()
    return DownResult(tuple(name for name in names if named_server.down(name)))


def servers_up() -> tuple[str, ...]:
    """The names of the servers that ``up`` started, of all projects."""
    return tuple(one.name for one in named_server.named_servers())


def names_of(project: Project) -> tuple[str, ...]:
    """What servers of a project may be called: by its configuration, or by its catalog, as before it had
    one."""
    return tuple(dict.fromkeys((str(project.home), str(project.catalog.root.resolve()))))


def names_for(
    catalog: str | Path | None = None, *, config: str | Path | None = None, start: str | Path = "."
) -> tuple[str, ...]:
    """What servers of the project that ``Project.open`` would open may be called.

    The catalog isn't read, nor the configuration unless it has to say whether ``catalog`` is its own: a
    server has to be ended where they are broken, too. Raises ConfigError where nothing says where the project
    is.
    """
    if catalog is not None:
        return _names_for_folder(Path(catalog), config, start)
    file = Config.file_of(config) if config is not None else Config.nearest(start)
    if file is None:
        return (str(usual_folder(None, start).resolve()),)
    try:
        folder = own_folder(Config.load(file))
    except ConfigError:
        folder = None
    return (str(file), str(folder.resolve())) if folder else (str(file),)


def _names_for_folder(folder: Path, config: str | Path | None, start: str | Path) -> tuple[str, ...]:
    try:
        configured = configuration(folder, config=config, start=start)
    except ConfigError:  # better to find no server than to end another catalog's
        return (str(folder.resolve()),)
    name = str(folder.resolve())
    return (str(configured.file), name) if is_own(configured, folder) else (name,)
