"""``up``: an embedded server that stays up, with what a slice needs.

The migrated data directory is kept under the hash of all that went into it: the next time it is copied and
checked, and that is all.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pgslate.errors import MissingExtensionError, TargetError
from pgslate.slices.slice import Slice
from pgslate.targets.embedded import named_server

if TYPE_CHECKING:
    from pgslate.execution.progress import Progress
    from pgslate.targets.embedded.named_server import NamedServer
    from pgslate.targets.target import Target


@dataclass(frozen=True, slots=True)
class UpResult:
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
    slice_: Slice,
    *,
    name: str | None = None,
    port: int | None = None,
    major: int | None = None,
    as_of: datetime | None = None,
    progress: Progress | None = None,
) -> UpResult:
    """Start an embedded server with what ``slice_`` needs, verified; ``down`` ends it.

    It is the same server at every call, one for each project (or ``name``): what it lacks is applied to it.

    Args:
        slice_: What the server's database should have.
        name: A server of its own, beside the project's.
        port: The port of 127.0.0.1 that it listens on; by default a free one.
        major: PostgreSQL's major version; by default the newest that is installed and has the extensions.
        as_of: The moment (UTC) that partition policies count from; by default the server's clock.
        progress: Called for each step.

    Raises:
        MissingExtensionError: No installed server has the extensions that the slice needs.
        TargetError: No server is installed, or it can't be started; or it is up already, with another port
            or major version.
        ApplyError: A migration failed, or may not run.
        VerificationError: Something is not as it should be.
    """
    called = name or name_of(slice_)

    # Loading the driver takes as long as copying the data and starting the server, which leave a core idle.
    threading.Thread(target=import_module, args=("pgslate.verbs.apply",), daemon=True).start()

    def prepare(target: Target) -> None:
        from pgslate.execution.slice_run import prepare
        from pgslate.verbs.apply import apply

        prepare(slice_, target)
        apply(slice_, target, as_of=as_of, progress=progress)

    server = named_server.up(
        called, key=slice_.key, prepare=prepare, extensions=slice_.extensions, major=major, port=port
    )
    if not server.started:
        _refuse_another(server, port, major)
    if not server.started or server.from_kept:
        from pgslate.errors import LedgerError
        from pgslate.verbs.apply import apply

        # what it lacks is applied: more tables, the partitions of a new month
        try:
            apply(slice_, server.target(), as_of=as_of, progress=progress)
        except MissingExtensionError as error:  # the server was chosen for the tables before
            error.fix = (
                "pgslate down, then pgslate up with all the tables at once, which looks for a server that has"
                f" what they need; or {error.fix}"
            )
            raise
        except LedgerError as error:  # an edited file, say: this server is there to be thrown away
            error.fix = "pgslate down, then pgslate up, which begins anew with the files as they are now"
            raise
    return UpResult(
        server.dsn, called, server.server, slice_.tables, slice_.form, server.started, server.from_kept
    )


def _refuse_another(server: NamedServer, port: int | None, major: int | None) -> None:
    """Raise TargetError where the server that is up isn't the one that is asked for."""
    has = []
    if port is not None and port != server.port:
        has.append(f"listens on port {server.port}")
    if major is not None and major != int(server.server.partition(".")[0]):
        has.append(f"is PostgreSQL {server.server}")
    if has:
        raise TargetError(
            f"the server that is up {' and '.join(has)}", fix="pgslate down, then pgslate up again"
        )


def name_of(slice_: Slice) -> str:
    """What a project's server is called: the path of its configuration, or of its catalog."""
    return str(slice_.project_path or slice_.catalog.root.resolve())
