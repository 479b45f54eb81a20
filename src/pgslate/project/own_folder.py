"""Which folder of migrations is a configuration's own, and which configuration counts for a folder."""

from __future__ import annotations

from pathlib import Path

from pgslate.errors import ConfigError
from pgslate.project.configuration import Config

# Where a catalog is looked for when nothing says where it is.
_USUAL_FOLDERS = (
    "migrations",
    "db/migrations",
    "db/migration",
    "prisma/migrations",
    "supabase/migrations",
    "sql/migrations",
    "src/main/resources/db/migration",
    "alembic",
)


def configuration(
    catalog: str | Path | None = None, *, config: str | Path | None = None, start: str | Path = "."
) -> Config:
    """What ``config`` says, or else the nearest configuration from ``start`` upward.

    For a folder ``catalog`` that one counts only where the folder is its own, or it has none; else the
    nearest one from the folder upward, if the folder is its own; else none. Raises ConfigError.
    """
    if config is not None:
        return Config.load(config)
    near = Config.find(start)
    if catalog is None or is_own(near, Path(catalog)):
        return near
    others = Config.find(catalog)
    if is_own(others, Path(catalog)):
        return others
    return near if own_folder(near) is None else Config()


def is_own(config: Config, folder: Path) -> bool:
    """Whether the configuration's catalog is that folder.

    Where the catalog that it names isn't there, as in a ConfigMap, it may be the one that the file lies in.
    """
    if config.file is None:
        return False
    own = own_folder(config)
    if own is not None and (own.is_dir() or own.resolve() == folder.resolve()):
        return own.resolve() == folder.resolve()
    return config.file.parent.resolve() == folder.resolve()


def is_anothers_beside(folder: Path) -> bool:
    """Whether a configuration lies beside the folder whose catalog is another."""
    near = Config.nearest(folder.parent)
    return near is not None and near.parent == folder.parent and not is_own(Config.load(near), folder)


def usual_folder(config: Path | None, start: str | Path) -> Path:
    """The folder of migrations where neither the configuration's file nor the user says which it is.

    Raises ConfigError where there is none.
    """
    found = _usual(config.parent if config else Path(start))
    if found is not None:
        return found
    where = f"{config} names no catalog" if config else f"no pgslate.toml from {Path(start).resolve()} upward"
    raise ConfigError(
        f"{where}, and none of {', '.join(_USUAL_FOLDERS)} is there either",
        fix='give --catalog DIR, or write catalog = "DIR" into pgslate.toml',
    )


def own_folder(config: Config) -> Path | None:
    """The folder of migrations that a configuration names, or the usual one beside it."""
    return config.catalog or (_usual(config.file.parent) if config.file else None)


def _usual(base: Path) -> Path | None:
    return next((base / name for name in _USUAL_FOLDERS if (base / name).is_dir()), None)
