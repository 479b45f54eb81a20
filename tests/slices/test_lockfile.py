"""The lock: written, read, kept where nothing changed, and stale where something did."""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path

import pytest
from tests.slices.judging import catalog_of

import datastorage
from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile
from pgslate.errors import CatalogError, LockVersionError, ProofError
from pgslate.project.project import Project
from pgslate.slices import lockfile
from pgslate.slices.lockfile import Proved
from pgslate.slices.selection import select
from pgslate.slices.slice import Form, slice_of
from pgslate.trace.effects import Widening
from pgslate.verbs.lock import LockResult

SOURCES = (
    "CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE other (i int);",
    "CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users (id));",
    "ALTER TABLE users ADD COLUMN name text;",
)
CONTRACTS = {"shop": ("orders",), "everything": ("*",)}


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    path = tmp_path / "pgslate.lock"
    path.write_text(lockfile.dumps(lockfile.lock(catalog_of(*SOURCES), path=path, contracts=CONTRACTS)))
    return path


def test_a_lock_reads_as_it_was_written(locked: Path) -> None:
    found = lockfile.read(locked)
    assert found is not None
    assert lockfile.dumps(found) == locked.read_text()
    assert found.stale(catalog_of(*SOURCES), CONTRACTS) == []
    assert all(one.servers and not one.unproved for forms in found.slices.values() for one in forms.values())


def test_the_same_catalog_gives_the_same_lock(locked: Path, tmp_path: Path) -> None:
    again = lockfile.lock(catalog_of(*SOURCES), path=tmp_path / "none", contracts=CONTRACTS)
    assert lockfile.dumps(again) == locked.read_text()


def test_a_new_migration_is_a_few_added_lines_and_keeps_the_other_proofs(locked: Path) -> None:
    before = locked.read_text()
    grown = catalog_of(*SOURCES, "ALTER TABLE other ADD COLUMN j int;")
    proved: list[int] = []
    after = lockfile.lock(
        grown, path=locked, contracts=CONTRACTS, proving=lambda done, total: proved.append(total)
    )
    changed = [
        line
        for line in difflib.ndiff(before.splitlines(), lockfile.dumps(after).splitlines())
        if line[:1] in "+-"
    ]
    assert set(proved) == {6}  # other, and the contract of everything, in three forms
    assert len(changed) < 20


def test_a_lock_says_what_is_stale(locked: Path) -> None:
    found = lockfile.read(locked)
    assert found is not None
    edited = catalog_of(SOURCES[0], SOURCES[1] + " -- edited\nCOMMENT ON TABLE orders IS 'x';", "SELECT 1;")
    assert found.stale(catalog_of(*SOURCES, "SELECT 1;"), CONTRACTS) == ["4_step.sql is new"]
    assert found.stale(catalog_of(*SOURCES[:2]), CONTRACTS) == ["3_step.sql is gone"]
    assert "2_step.sql was edited" in found.stale(edited, CONTRACTS)
    assert found.stale(catalog_of(*SOURCES), {"shop": ("users",)}) == [
        "contract shop names other tables",
        "contract everything is gone",
    ]


def test_a_damaged_lock_says_how_to_write_it_anew(locked: Path) -> None:
    locked.write_text(locked.read_text()[:-40])
    with pytest.raises(CatalogError, match="pgslate lock"):
        lockfile.read(locked)


def test_what_could_not_be_proved_can_not_be_used(locked: Path) -> None:
    found = lockfile.read(locked)
    assert found is not None
    forms = {**found.slices["table public.users"]}
    forms["objects"] = Proved(frozenset(), (), unproved="now() is not twice the same")
    slices = {**found.slices, "table public.users": forms}
    refused = lockfile.loads(
        lockfile.dumps(lockfile.Lock(found.trace, found.files, slices, found.contracts))
    ).trace
    catalog = catalog_of(*SOURCES)
    units = select(catalog, refused, ["users"])
    assert slice_of(catalog, refused, units, form="files").migrations == (0, 2)
    with pytest.raises(ProofError, match="not twice the same"):
        slice_of(catalog, refused, units, form="objects")


def test_widened_slices_are_told_by_kind_name_and_form(locked: Path) -> None:
    found = lockfile.read(locked)
    assert found is not None
    widened = Proved(frozenset(), (18,), Widening(why=("a row is missing",)))
    subjects = ("table public.b", "contract z", "table public.a", "contract a")
    forms: tuple[Form, ...] = ("objects", "files", "statements")
    lock = replace(found, slices={subject: dict.fromkeys(forms, widened) for subject in subjects})
    assert list(LockResult(locked, lock, changed=True).widened) == [
        f"{subject} ({form})" for subject in sorted(subjects) for form in ("files", "statements", "objects")
    ]


def test_the_data_storage_services_lock_is_up_to_date() -> None:
    folder = Path(datastorage.__file__).parent
    project = Project.open(config=folder / "pgslate.toml")
    found = lockfile.read(project.lock_file)
    assert found is not None
    contracts = {name: found.contracts.get(name, ()) for name in project.config.contracts}
    assert found.stale(Catalog.load(folder / "migrations"), contracts) == []


def test_a_lock_that_was_edited_is_refused(locked: Path) -> None:
    locked.write_text(locked.read_text().replace("users", "userz"))
    with pytest.raises(CatalogError, match="edited, or merged") as caught:
        lockfile.read(locked)
    assert "pgslate lock" in caught.value.fix


def test_a_lock_with_the_marks_of_a_merge_is_refused(locked: Path) -> None:
    locked.write_text(f"<<<<<<< ours\n{locked.read_text()}=======\n>>>>>>> theirs\n")
    with pytest.raises(CatalogError, match="conflict markers of a merge"):
        lockfile.read(locked)


@pytest.mark.parametrize(
    "broken", [b"", b"\xff\xfe", b"[" * 200_000, b"[]", b"{}", b"null", b'{"pgslate": 5']
)
def test_what_is_no_lock_is_refused(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "pgslate.lock").write_bytes(broken)
    with pytest.raises(CatalogError, match="can't be read"):
        lockfile.read(tmp_path / "pgslate.lock")


def test_a_lock_of_another_version_is_told_from_a_broken_one(locked: Path) -> None:
    locked.write_text(locked.read_text().replace('"pgslate": ', '"pgslate": 1'))
    with pytest.raises(LockVersionError, match="another version"):
        lockfile.read(locked)


def test_another_prelude_or_setting_makes_a_lock_stale(tmp_path: Path) -> None:
    catalog = catalog_of(*SOURCES)
    before, moved = (PreludeFile(name, "CREATE SCHEMA app;") for name in ("before.sql", "moved.sql"))
    lock = lockfile.lock(catalog, path=tmp_path / "none", contracts={}, prelude=[before])
    read = lockfile.loads(lockfile.dumps(lock))
    assert read.stale(catalog, {}, [moved]) == []
    assert read.stale(catalog, {}, []) == ["the prelude or the settings of [session] were edited"]
