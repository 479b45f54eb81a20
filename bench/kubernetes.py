"""Kubernetes: provisioning the audit slice, against what the teams did by hand; and bytes, against kubectl.

    python -m bench.kubernetes [--real] [--megabytes N] [--write]

Runs against the tests' stand-in cluster, or with ``--real`` against the current kubeconfig's, in a namespace
of its own; ``--write`` writes docs/performance.md's section. ``kubectl`` is needed for the other side of each
ratio. Seconds are wall-clock; each figure is the best of its rounds, ours and theirs in turn. Through the
stand-in, which is Python, MB/s say mostly how fast that is: the processor time of the forward itself doesn't.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from bench import page
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.kubernetes import manifests

import datastorage
from pgslate.project.project import Project
from pgslate.slices.slice import Slice
from pgslate.targets.kubernetes import kubeconfig as kubeconfigs
from pgslate.targets.kubernetes import service_target
from pgslate.targets.kubernetes.api import HttpApi, path_of
from pgslate.targets.kubernetes.readiness import Patience
from pgslate.targets.target import Target
from pgslate.verbs.apply import apply

PROVISIONING_BUDGET = 10.0
ROUNDS = 4
BEGIN, END = "<!-- kubernetes: begin -->", "<!-- kubernetes: end -->"


@dataclass(frozen=True, slots=True)
class Ratio:
    """One budget: how many times better than the other way, and how many times it should be."""

    what: str
    ours: str
    theirs: str
    times: float
    budget: float

    def __str__(self) -> str:
        kept = "kept" if self.times >= self.budget else "MISSED"
        return (
            f"{self.what}: {self.ours}, {self.theirs}: {self.times:.1f} x (budget {self.budget:g} x: {kept})"
        )


@dataclass(frozen=True, slots=True)
class Carried:
    """How fast a forward carried bytes one way: MB/s, and milliseconds of its processor's time a MB."""

    speed: float
    work: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster with PostgreSQL in ``namespace``; ``kubeconfig`` is None for the current one."""

    api: HttpApi
    kubeconfig: Path | None
    namespace: str

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """What kubectl prints. Raises CalledProcessError where it fails."""
        config = ["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []
        command = ["kubectl", *config, "-n", self.namespace, *args]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout

    def target(self, database: str = "action_history") -> Target:
        """PostgreSQL in it, as pgslate reaches it."""
        return service_target(
            self.namespace,
            kubeconfig=self.kubeconfig,
            database=database,
            environ={},
            patience=Patience(timeout=300),
        )


def measure(*, real: bool = False, megabytes: int = 256) -> list[Ratio]:
    """All ratios; an empty list where kubectl isn't installed."""
    if not shutil.which("kubectl"):
        return []
    slice_ = _audit_slice()
    with _cluster(real) as cluster:
        return [_provisioning(cluster, slice_), *_throughput(cluster, megabytes)]


def _audit_slice() -> Slice:
    """The seed's shortcut, out of the Data Storage service's catalog; traced before anything is timed."""
    project = Project.open(start=Path(datastorage.__file__).parent)
    return project.slice(bundle="audit")


def _provisioning(cluster: Cluster, slice_: Slice) -> Ratio:
    ours, theirs = [], []
    for number in range(ROUNDS):
        with _database(cluster, f"ours_{number}") as name:
            ours.append(_timed(lambda name=name: _apply(cluster, slice_, name)))  # type: ignore[misc]  # bound now
        with _database(cluster, f"theirs_{number}") as name:
            theirs.append(_timed(lambda name=name: _by_hand(cluster, slice_, name)))  # type: ignore[misc]  # bound now
    files, tables = len(slice_.files), len(_tables(slice_))
    return Ratio(
        "provision and verify the audit slice",
        f"pgslate {min(ours):.2f} s",
        f"kubectl exec psql for {files} files and {tables} tables {min(theirs):.2f} s",
        min(theirs) / min(ours),
        PROVISIONING_BUDGET,
    )


def _apply(cluster: Cluster, slice_: Slice, database: str) -> None:
    with cluster.target(database) as target:
        apply(slice_, target)


def _by_hand(cluster: Cluster, slice_: Slice, database: str) -> None:
    """One call a file and one a table, as the teams' shared helper did."""
    pod = cluster.kubectl("get", "pods", "-l", "app=postgresql", "-o", "name").strip()
    psql = ("exec", "-i", pod, "--", "psql", "-v", "ON_ERROR_STOP=1", "-U", "slm_user", "-d", database)
    for migration in slice_.files:
        text = ";\n".join(statement.text for statement in migration.statements)
        cluster.kubectl(*psql, "-f", "-", stdin=text + ";\n")
    for table in _tables(slice_):
        cluster.kubectl(*psql, "-Atc", f"SELECT to_regclass('{table}')")


def _tables(slice_: Slice) -> list[str]:
    units = (slice_.trace.units[number] for number in slice_.required)
    return sorted(unit.name for unit in units if unit.kind == "table")


def _throughput(cluster: Cluster, megabytes: int) -> Iterator[Ratio]:
    """Bytes out of and into PostgreSQL, through pgslate's forward and kubectl's, each in its own process."""
    ours: list[tuple[Carried, Carried]] = []
    theirs: list[tuple[Carried, Carried]] = []
    for _ in range(ROUNDS):
        for forward, figures in ((_pgslate_forward, ours), (_kubectl_forward, theirs)):
            with forward(cluster) as (dsn, process):
                figures.append(_out_and_in(dsn, process, megabytes))
    for what, number in (("out of", 0), ("into", 1)):
        best = max(pair[number].speed for pair in ours), max(pair[number].speed for pair in theirs)
        yield Ratio(
            f"{megabytes} MB {what} PostgreSQL, byte-identical",
            f"pgslate {best[0]:.0f} MB/s",
            f"kubectl port-forward {best[1]:.0f} MB/s",
            best[0] / best[1],
            1.0,
        )
        best = min(pair[number].work for pair in ours), min(pair[number].work for pair in theirs)
        yield Ratio(
            f"processor time of the forward, a MB {what} PostgreSQL",
            f"pgslate {best[0]:.2f} ms",
            f"kubectl port-forward {best[1]:.2f} ms",
            best[1] / best[0],
            1.0,
        )


def _out_and_in(dsn: str, process: int, megabytes: int) -> tuple[Carried, Carried]:
    """Out of and into the server. Raises AssertionError where a byte is not what it was."""
    row = b"0123456789abcdef" * 62500 + b"\n"
    sent, came = hashlib.blake2b(row * megabytes), hashlib.blake2b()
    with closing(Target(dsn).connect()) as connection:
        connection.execute("CREATE TEMP TABLE blocks (block text)")
        connection.execute("ALTER TABLE blocks ALTER block SET STORAGE EXTERNAL")
        start, busy = time.perf_counter(), _busy(process)
        with connection.cursor().copy("COPY blocks FROM STDIN") as copy:
            for _ in range(megabytes):
                copy.write(row)
        into = _carried(megabytes, start, busy, process)
        start, busy = time.perf_counter(), _busy(process)
        with connection.cursor().copy("COPY blocks TO STDOUT") as copy:
            for data in copy:
                came.update(data)
        out = _carried(megabytes, start, busy, process)
    assert came.digest() == sent.digest(), "a byte was lost or changed on the way"
    return out, into


def _carried(megabytes: int, start: float, busy: float, process: int) -> Carried:
    return Carried(
        megabytes / (time.perf_counter() - start), 1000 * max(_busy(process) - busy, 0.001) / megabytes
    )


def _busy(process: int) -> float:
    """Seconds of processor time that a process has had, by Linux's proc(5)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _pgslate_forward(cluster: Cluster) -> Iterator[tuple[str, int]]:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Queue(), context.Event()
    process = context.Process(target=_forward, args=(cluster.namespace, cluster.kubeconfig, ready, done))
    process.start()
    try:
        assert process.pid
        yield _dsn(ready.get(timeout=60)), process.pid
    finally:
        done.set()
        process.join()


def _forward(namespace: str, kubeconfig: Path | None, ready: Any, done: Event) -> None:
    from pgslate.verbs.forward import forward

    with forward(namespace, kubeconfig=kubeconfig) as forwarder:
        ready.put(forwarder.port)
        done.wait()


@contextmanager
def _kubectl_forward(cluster: Cluster) -> Iterator[tuple[str, int]]:
    pod = cluster.kubectl("get", "pods", "-l", "app=postgresql", "-o", "name").strip()
    config = ["--kubeconfig", str(cluster.kubeconfig)] if cluster.kubeconfig else []
    command = ["kubectl", *config, "-n", cluster.namespace, "port-forward", pod, ":5432"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        match = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        try:
            assert match, "kubectl said no port"
            yield _dsn(int(match[1])), process.pid
        finally:
            process.terminate()


def _dsn(port: int) -> str:
    return make_conninfo(
        host="127.0.0.1", port=port, user="slm_user", password=manifests.PASSWORD, dbname="action_history"
    )


@contextmanager
def _database(cluster: Cluster, name: str) -> Iterator[str]:
    """An empty database, for one round."""
    with cluster.target() as target, closing(target.connect(autocommit=True)) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield name
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _cluster(real: bool) -> Iterator[Cluster]:
    with _real_kubeconfig() if real else _standin_kubeconfig() as kubeconfig:
        api = HttpApi(kubeconfigs.load(kubeconfig))
        namespace = f"pgslate-bench-{os.getpid()}"
        try:
            for manifest in (manifests.namespace(namespace), *manifests.postgres(namespace)):
                api.apply(manifest)
            cluster = Cluster(api, kubeconfig, namespace)
            cluster.target().close()
            yield cluster
        finally:
            api.delete(path_of("namespaces", name=namespace))
            api.close()


@contextmanager
def _real_kubeconfig() -> Iterator[None]:
    yield None


@contextmanager
def _standin_kubeconfig() -> Iterator[Path]:
    """The stand-in, in a process of its own so that it takes no time from the client measured."""
    context = multiprocessing.get_context("spawn")
    done = context.Event()
    with tempfile.TemporaryDirectory() as folder:
        ready = context.Queue()
        process = context.Process(target=_standin, args=(folder, ready, done))
        process.start()
        try:
            yield ready.get(timeout=60)
        finally:
            done.set()
            process.join()


def _standin(folder: str, ready: Any, done: Event) -> None:
    from tests.kubernetes.standin.server import StandIn

    with StandIn() as standin:
        ready.put(standin.kubeconfig(Path(folder)))
        done.wait()


def _timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def section(found: list[Ratio], *, real: bool) -> str:
    """The Markdown table, between its marks."""
    where = "a real cluster" if real else "the tests' stand-in cluster, which is written in Python"
    lines = [
        BEGIN,
        "## In Kubernetes",
        "",
        f"Against {where}, with what the teams did by hand: `kubectl exec psql` for each file and each table,"
        " and `kubectl port-forward`. The best of"
        f" {ROUNDS} rounds each, in turn; more than 1 is better than `kubectl`. MB/s are those of the whole"
        " way, the processor time is the forwarding process's own."
        f" Python {platform.python_version()}, {os.cpu_count()} cores with a load of"
        f" {os.getloadavg()[2]:.0f} meanwhile, {platform.system()} {platform.machine()}."
        " Made by `python -m bench.kubernetes --write`.",
        "",
        "| | pgslate | kubectl | ratio | budget |",
        "|---|---:|---:|---:|---:|",
    ]
    for one in found:
        ours, theirs = one.ours.removeprefix("pgslate "), _figure(one.theirs)
        lines.append(f"| {one.what} | {ours} | {theirs} | {one.times:.1f} | {one.budget:g} |")
    return "\n".join([*lines, "", END])


def _figure(said: str) -> str:
    """The number and its unit, at the end of what a ratio says of one side."""
    return " ".join(said.split()[-2:])


def write_docs(found: list[Ratio], *, real: bool) -> None:
    """Put the section into docs/performance.md."""
    page.put(section(found, real=real))


def main() -> None:
    """Print each ratio on a line, and write where asked."""
    parser = argparse.ArgumentParser(description="Kubernetes: pgslate against kubectl, as ratios in one run")
    parser.add_argument("--real", action="store_true", help="the current kubeconfig's cluster")
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md's section")
    given = parser.parse_args()
    found = measure(real=given.real, megabytes=given.megabytes)
    print("\n".join(map(str, found)) or "kubectl isn't installed: there is nothing to compare with")
    if found and given.write:
        write_docs(found, real=given.real)


if __name__ == "__main__":
    main()
