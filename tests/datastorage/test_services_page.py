"""The commands of docs/services.md work as they are written there, one after another."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx

from datastorage.services import CONFIG

PAGE = Path(__file__).parents[2] / "docs" / "services.md"
BIN = Path(sys.executable).parent


def commands_in_go() -> list[list[str]]:
    """The arguments of each exec.Command; what is no literal stays as Go has it."""
    (block,) = re.findall(r"```go\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    found = re.findall(r"exec\.Command\((.*?)\)(?:\.Output|\.Run|\n)", block, re.DOTALL)
    return [[part.strip().strip('"') for part in re.split(r",\s*", one)] for one in found]


def test_the_go_set_up_brings_up_database_and_service_and_takes_them_down(tmp_path: Path) -> None:
    shutil.copy(CONFIG, tmp_path)
    shutil.copy(CONFIG.with_name("pgslate.lock"), tmp_path)
    shutil.copytree(CONFIG.with_name("migrations"), tmp_path / "migrations")
    up, serve, down = commands_in_go()

    def output(*command: str) -> str:
        program, *arguments = command
        done = subprocess.run([BIN / program, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    dsn = output(*up)
    try:
        program, *arguments = [dsn if part == "strings.TrimSpace(string(dsn))" else part for part in serve]
        with subprocess.Popen(
            [BIN / program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as service:
            assert service.stdout is not None
            url = json.loads(service.stdout.readline())["url"]
            correlation = output("datastorage", "emit", "workflowexecution", "--url", url)
            answer = httpx.get(f"{url}/api/v1/audit/events", params={"correlation_id": correlation})
            service.kill()
    finally:
        output(*down)

    assert len(answer.json()["data"]) == 3
