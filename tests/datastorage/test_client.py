"""The client: what was recorded arrives once, whatever happens to the service."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

import datastorage
from datastorage import AsyncAuditClient, AuditClient
from datastorage.client.delivery import Delivered, Later, Refused, TooLarge, outcome_of, pause, seconds_of
from datastorage.client.spool import Item, Spool

SOURCE = str(Path(datastorage.__file__).parents[1])

FIELDS: dict[str, Any] = {
    "event_type": "gateway.signal.received",
    "event_category": "signal",
    "event_action": "received",
    "event_outcome": "success",
    "correlation_id": "rr-1",
}


class Service:
    """Stands in for the network: keeps what is posted, and answers as it is told."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.posts: list[int] = []
        self.answer: Callable[[list[dict[str, Any]]], httpx.Response] | None = None
        self.asked = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.set()
        self.gate.wait(timeout=10)
        events = json.loads(request.content)
        self.posts.append(len(events))
        if self.answer is not None:
            answer = self.answer(events)
            if answer.status_code != 201:
                return answer
        self.stored.update((event["event_id"], event) for event in events)
        return httpx.Response(201, json={})


@pytest.fixture
def network() -> Service:
    return Service()


def client_of(network: Service, folder: Path, **options: Any) -> AuditClient:
    return AuditClient("http://service", spool=folder, transport=httpx.MockTransport(network), **options)


def test_what_was_recorded_is_sent_in_batches(network: Service, tmp_path: Path) -> None:
    network.gate.clear()
    with client_of(network, tmp_path, batch_events=40) as client:
        ids = [str(client.record(**FIELDS)) for _ in range(100)]
        network.gate.set()
        assert client.flush()
        counts = client.counts()

    assert list(network.stored) == ids
    assert max(network.posts) == 40
    assert (counts.recorded, counts.sent, counts.in_memory, counts.spooled) == (100, 100, 0, 0)


def test_record_does_not_wait_for_the_network_and_memory_is_bounded(network: Service, tmp_path: Path) -> None:
    network.gate.clear()
    with client_of(network, tmp_path, memory_events=50, batch_events=10) as client:
        for _ in range(200):
            client.record(**FIELDS)
        counts = client.counts()
        network.gate.set()
        assert client.flush()

    assert counts.in_memory <= 50
    assert counts.in_memory + counts.spooled == 200
    assert len(network.stored) == 200


def test_events_that_could_not_be_sent_are_sent_by_the_next_client(network: Service, tmp_path: Path) -> None:
    network.answer = lambda events: httpx.Response(503)
    with client_of(network, tmp_path) as client:
        ids = {str(client.record(**FIELDS)) for _ in range(30)}
        left = client.close(deadline=0)
    network.answer = None

    with client_of(network, tmp_path) as client:
        assert client.flush()

    assert (left.sent, left.spooled) == (0, 30)
    assert set(network.stored) == ids
    assert list(tmp_path.glob("*.sqlite*")) == []


def test_an_answer_that_got_lost_stores_nothing_twice(network: Service, tmp_path: Path) -> None:
    answers = iter([500, 201])

    def stored_but_unheard(events: list[dict[str, Any]]) -> httpx.Response:
        network.stored.update((event["event_id"], event) for event in events)
        return httpx.Response(next(answers))

    network.answer = stored_but_unheard
    with client_of(network, tmp_path) as client:
        sent = str(client.record(**FIELDS))
        assert client.flush()

    # The same event, with the same id and time, was posted twice.
    assert (list(network.stored), network.posts) == ([sent], [1, 1])
    assert client.close().retries == 1


def test_what_the_service_never_takes_is_kept_apart_with_the_reason(network: Service, tmp_path: Path) -> None:
    def refuse_low(events: list[dict[str, Any]]) -> httpx.Response:
        wrong = [n for n, event in enumerate(events) if event.get("severity") == "low"]
        errors = [{"item": n, "field": "severity", "message": "is too low"} for n in wrong]
        return httpx.Response(422 if wrong else 201, json={"errors": errors})

    network.answer = refuse_low
    network.gate.clear()
    with client_of(network, tmp_path) as client:
        for severity in ("high", "low", "high", "low", "high"):
            client.record(**FIELDS, severity=severity)
        network.gate.set()
        assert client.flush()
        refused = client.refused()
        counts = client.counts()

    assert (counts.sent, counts.refused) == (3, 2)
    assert [(json.loads(body)["severity"], reason) for body, reason in refused] == [
        ("low", "severity: is too low")
    ] * 2


def test_a_batch_that_is_too_large_is_halved_until_it_fits(network: Service, tmp_path: Path) -> None:
    network.answer = lambda events: httpx.Response(413 if len(events) > 3 else 201)
    network.gate.clear()
    with client_of(network, tmp_path) as client:
        for _ in range(16):
            client.record(**FIELDS)
        network.gate.set()
        assert client.flush()

    assert len(network.stored) == 16


def test_a_durable_client_loses_nothing_when_its_process_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, sys, signal; from datastorage import AuditClient; from pathlib import Path\n"
        "client = AuditClient('http://127.0.0.1:9', spool=Path(sys.argv[1]), durable=True)\n"
        f"for _ in range(25): client.record(**{FIELDS!r})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env={"PYTHONPATH": SOURCE}, check=False
    )

    assert killed.returncode == -9
    spool = Spool.adopt(tmp_path)
    assert len(spool) == 25
    spool.close()


def test_events_are_flushed_when_the_program_ends_without_closing(tmp_path: Path) -> None:
    script = (
        "import sys; from datastorage import AuditClient; from pathlib import Path\n"
        "import datastorage.client.client as module\n"
        "client = AuditClient('http://127.0.0.1:9', spool=Path(sys.argv[1]))\n"
        "close = client.close; client.close = lambda: close(deadline=0)\n"
        f"client.record(**{FIELDS!r})"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], env={"PYTHONPATH": SOURCE}, check=True)

    spool = Spool.adopt(tmp_path)
    assert len(spool) == 1
    spool.close()


def test_closing_keeps_its_deadline_and_what_is_on_its_way(
    network: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network.gate.clear()
    client = client_of(network, tmp_path)
    sent = str(client.record(**FIELDS))
    network.asked.wait(timeout=10)
    behind = str(client.record(**FIELDS))

    began = time.monotonic()
    counts = client.close(deadline=0.1)
    took = time.monotonic() - began

    network.gate.set()
    spool = Spool.adopt(tmp_path)
    kept = [item.event_id for item in spool.first(10)]
    spool.close()
    assert took < 3.0
    assert kept == [sent, behind]
    assert (counts.sent, counts.in_memory, counts.spooled) == (0, 0, 2)
    client._thread.join(10)
    assert "events wait" not in caplog.text  # what was on its way ends without a word about the closed spool


def test_two_threads_may_close_at_the_same_time(network: Service, tmp_path: Path) -> None:
    network.gate.clear()
    client = client_of(network, tmp_path)
    client.record(**FIELDS)
    with ThreadPoolExecutor(2) as pool:
        closing = [pool.submit(client.close, 5.0) for _ in range(2)]
        network.gate.set()

    assert closing[0].result() == closing[1].result()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(422, json={"errors": None}),
        httpx.Response(422, json={"errors": [{"item": True}]}),
        httpx.Response(503, headers=[(b"Retry-After", b"\xb2")]),
        httpx.Response(503, headers={"Retry-After": "-1"}),
        httpx.Response(503, headers={"Retry-After": "Fri, 31 Dec 9999 99:59:59 GMT"}),
        RuntimeError("not what httpx says it raises"),
        OSError("nor this"),
    ],
    ids=["errors null", "item true", "superscript", "negative", "no date", "runtime", "os"],
)
def test_no_answer_however_odd_stops_the_client(
    network: Service, tmp_path: Path, answer: httpx.Response | Exception
) -> None:
    odd = iter([answer])

    def once(events: list[dict[str, Any]]) -> httpx.Response:
        # Alone, an event that is refused for no reason is refused for good.
        match next(odd, None) if len(events) > 1 else None:
            case None:
                return httpx.Response(201)
            case Exception() as error:
                raise error
            case httpx.Response() as response:
                return response

    network.answer = once
    network.gate.clear()
    with client_of(network, tmp_path) as client:
        ids = [str(client.record(**FIELDS))]
        network.asked.wait(timeout=10)
        ids += [str(client.record(**FIELDS)) for _ in range(2)]
        network.gate.set()
        assert client.flush(10.0), client.trouble
        assert next(odd, None) is None

    assert set(network.stored) == set(ids)


FORKED = """
import os, sys
from pathlib import Path
from datastorage import AuditClient

client = AuditClient(sys.argv[1], spool=Path(sys.argv[2]))
print(client.record(**FIELDS), flush=True)
child = os.fork()
for _ in range(20):
    print(client.record(**FIELDS), flush=True)
flushed = client.flush(20.0)
client.close()
if not child:
    os._exit(not flushed)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or not flushed)
"""


def test_a_process_that_was_forked_sends_its_own_events_and_only_those(tmp_path: Path) -> None:
    posted: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.extend(event["event_id"] for event in json.loads(body))
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        done = subprocess.run(
            [
                sys.executable,
                *("-W", "ignore", "-c"),
                f"FIELDS = {FIELDS!r}\n{FORKED}",
                url,
                str(tmp_path),
            ],
            env={"PYTHONPATH": SOURCE},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        server.shutdown()

    assert done.returncode == 0, done.stderr
    recorded = done.stdout.split()
    assert len(recorded) == 41
    assert sorted(posted) == sorted(recorded)
    assert list(tmp_path.glob("*.sqlite*")) == []


def test_what_several_processes_left_behind_is_sent_by_one(network: Service, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        spool = Spool(tmp_path / f"spool-{number}.sqlite")
        spool.add([Item(f"{number}-{n}", json.dumps({"event_id": f"{number}-{n}"})) for n in range(2)])
        spool.close()
    living = Spool(tmp_path / "spool-4.sqlite")
    living.add([Item("4-0", "{}")])

    with client_of(network, tmp_path) as client:
        assert client.flush()

    assert list(network.stored) == ["1-0", "1-1", "2-0", "2-1", "3-0", "3-1"]
    assert [path.name for path in tmp_path.glob("*.sqlite")] == ["spool-4.sqlite"]
    living.close()


def test_two_clients_do_not_share_a_spool(network: Service, tmp_path: Path) -> None:
    with client_of(network, tmp_path), client_of(network, tmp_path):
        assert len(list(tmp_path.glob("*.sqlite"))) == 2
        with pytest.raises(BlockingIOError, match="another client"):
            Spool(next(tmp_path.glob("*.sqlite")))


def test_a_closed_client_says_so(network: Service, tmp_path: Path) -> None:
    client = client_of(network, tmp_path)
    client.close()

    with pytest.raises(RuntimeError, match="closed"):
        client.record(**FIELDS)
    assert client.close() == client.close()


def test_an_unknown_field_is_the_callers_mistake_at_once(network: Service, tmp_path: Path) -> None:
    with client_of(network, tmp_path) as client, pytest.raises(TypeError, match="colour"):
        client.record(**FIELDS, colour="red")


def test_the_async_client_records_without_waiting(network: Service, tmp_path: Path) -> None:
    async def run() -> int:
        transport = httpx.MockTransport(network)
        async with AsyncAuditClient("http://service", spool=tmp_path, transport=transport) as client:
            for _ in range(10):
                client.record(**FIELDS)
            assert await client.flush()
            return client.counts().sent

    assert asyncio.run(run()) == 10


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (201, "{}", Delivered()),
        (200, "{}", Delivered()),
        (413, "", TooLarge()),
        (422, '{"type": "urn:datastorage:problem:batch-too-large"}', TooLarge()),
        (422, "not json", TooLarge()),
        (409, '{"detail": "taken", "errors": [{"item": 2}]}', Refused(((2, "taken"),))),
        (422, '{"errors": [{"item": 9}]}', TooLarge()),
        (503, '{"detail": "away"}', Later("status 503: away", 7.0)),
        (401, '{"detail": "who?"}', Later("status 401: who?", 7.0)),
    ],
)
def test_an_answer_means_what_http_says(status: int, body: str, outcome: object) -> None:
    assert outcome_of(status, "7", body, 5) == outcome


def test_pauses_grow_with_jitter_and_honour_retry_after() -> None:
    assert 0.05 <= pause(1, None) <= 0.1
    assert 7.5 <= pause(100, None) <= 15
    assert pause(1, 40.0) == 40.0
    assert pause(1, 1e300) == 3600.0
    assert seconds_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert seconds_of("soon") is None


def test_a_spool_gives_events_in_the_order_they_came(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite")
    spool.add(Item(str(n), "{}") for n in range(5))
    spool.add([Item("0", "{}")])
    spool.remove([Item("1", "")])

    assert [item.event_id for item in spool.first(3)] == ["0", "2", "3"]
    assert len(spool) == 4
    spool.close()
