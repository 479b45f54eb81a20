"""``up`` and ``down``: an embedded server that stays up, with a slice's schema.

``up`` keeps the migrated data directory under the hash of all that went into it: the next time it is copied,
checked, and that is all.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgslate.errors import ConfigError, MissingExtensionError
from pgslate.project.configuration import Config
from pgslate.project.own_folder import configuration, is_own, usual_folder
from pgslate.project.project import Project, Selection, extensions
from pgslate.slices.slice import Form
from pgslate.targets.embedded import named_server as servers

if TYPE_CHECKING:
    from pgslate.execution.progress import Progress
    from pgslate.targets.embedded.named_server import Standing
    from pgslate.targets.target import Target


@dataclass(frozen=True, slots=True)
class Up:
    """A server that stays up, with a verified schema.

    ``dsn`` is its URL, ``server`` its PostgreSQL version. ``started`` says whether this call started it,
    ``from_kept`` whether it began with a data directory that was kept.
    """

    dsn: str
    name: str
    server: str
    tables: tuple[str, ...]
    form: str
    started: bool
    from_kept: bool

    def as_json(self) -> dict[str, Any]:
        """The server for programs."""
        return {
            "dsn": self.dsn,
            "name": self.name,
            "server": self.server,
            "tables": list(self.tables),
            "form": self.form,
            "started": self.started,
            "from_kept": self.from_kept,
        }


def up(
    project: Project,
    selection: Selection | Sequence[str] = (),
    *,
    form: Form = "files",
    name: str | None = None,
    as_of: datetime | None = None,
    progress: Progress | None = None,
) -> Up:
    """An embedded server that stays up, with the selection's schema, verified.

    It is the same server at every call, one for each project (or ``name``): what it lacks is applied to
    it. ``down`` ends it. ``as_of`` is the moment (UTC) that partition policies count from. Raises TargetError
    where no server is installed, MissingExtensionError, ApplyError, VerificationError.
    """
    wanted = selection if isinstance(selection, Selection) else project.selection(selection)
    chosen = project.slice(wanted, form=form)
    called = name or name_of(project)
    key = chosen.key(project.prelude)

    # Loading the driver takes as long as copying the data and starting the server, which leave a core idle.
    threading.Thread(target=import_module, args=("pgslate.verbs.provision",), daemon=True).start()

    def prepare(target: Target) -> None:
        from pgslate.verbs import provision

        provision.prepare(project, target)
        provision.provision(project, chosen, target, selection=wanted, as_of=as_of, progress=progress)

    server = servers.up(called, key=key, prepare=prepare, extensions=extensions(chosen))
    if not server.started or server.from_kept:
        from pgslate.verbs import provision

        # what it lacks is applied: more tables, the partitions of a new month
        target = server.target()
        try:
            provision.provision(project, chosen, target, selection=wanted, as_of=as_of, progress=progress)
        except MissingExtensionError as error:  # the server was chosen for the tables before
            error.fix = (
                "pgslate down, then pgslate up with all the tables at once, which looks for a server that has"
                f" what they need; or {error.fix}"
            )
            raise
    return Up(server.dsn, called, server.server, chosen.tables, form, server.started, server.from_kept)


def down(project: Project | None = None, *, name: str | None = None) -> bool:
    """End the server that ``up`` started under ``name``, or for the project (by default: the nearest).

    Returns False where there was none.
    """
    if name is not None:
        return servers.down(name)
    return servers.down(name_of(project) if project else name_for())


def running(project: Project, *, name: str | None = None) -> Standing | None:
    """The server that ``up`` started for the project, or under ``name``, if it runs."""
    called = name or name_of(project)
    return next((one for one in servers.standing() if one.name == called and one.running), None)


def name_of(project: Project) -> str:
    """What a project's server is called: the path of its configuration, or of its catalog."""
    return str(project.home)


def name_for(
    catalog: str | Path | None = None, *, config: str | Path | None = None, start: str | Path = "."
) -> str:
    """What the server of the project that ``Project.open`` would open is called.

    The catalog isn't read, nor the configuration unless it has to say whether ``catalog`` is its own: a
    server has to be ended where they are broken, too. Raises ConfigError where nothing says where the project
    is.
    """
    if catalog is not None:
        return _name_for_folder(Path(catalog), config, start)
    file = Config.file_of(config) if config is not None else Config.nearest(start)
    return str(file or usual_folder(None, start).resolve())


def _name_for_folder(folder: Path, config: str | Path | None, start: str | Path) -> str:
    try:
        said = configuration(folder, config=config, start=start)
    except ConfigError:  # better to find no server than to end another catalog's
        return str(folder.resolve())
    return str(said.file if is_own(said, folder) else folder.resolve())
