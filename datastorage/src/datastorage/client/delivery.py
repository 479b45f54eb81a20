"""One request with a batch of events, and what its answer means."""

from __future__ import annotations

import email.utils
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from datastorage.client.spool import Item

PATH = "/api/v1/audit/events/batch"

#: Seconds that a client waits at most because it was asked to.
LONGEST = 3600.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """The service has all of the batch."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The service will never take these (place in the batch, reason), and has none of the others yet."""

    items: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The batch has to be halved."""


@dataclass(frozen=True, slots=True)
class Later:
    """The service didn't take the batch now; ``retry_after`` (seconds) is what it asked for, if it did."""

    reason: str
    retry_after: float | None = None


Outcome = Delivered | Refused | TooLarge | Later


def deliver(http: httpx.Client, items: Sequence[Item]) -> Outcome:
    """Posts the batch. Never raises: whatever isn't an answer is ``Later``."""
    body = "[" + ",".join(item.body for item in items) + "]"
    try:
        answer = http.post(PATH, content=body.encode(), headers={"Content-Type": "application/json"})
        return outcome_of(answer.status_code, answer.headers.get("Retry-After"), answer.text, len(items))
    except Exception as error:  # whatever a transport or an answer may bring: the events are still ours
        return Later(f"{type(error).__name__}: {error}")


def outcome_of(status: int, retry_after: str | None, text: str, size: int) -> Outcome:
    """What an answer to a batch of ``size`` events means; pure."""
    if status in (200, 201):
        return Delivered()
    if status == 413 or (status == 422 and _kind(text) == "batch-too-large"):
        return TooLarge() if size > 1 else Refused(((0, "the event alone is too large"),))
    if status in (409, 422):
        wrong = _wrong_items(text, size)
        if wrong:
            return Refused(wrong)
        # It can't say which: alone, each tells for itself.
        return TooLarge() if size > 1 else Refused(((0, _detail(text)),))
    # 401 and 403 too: a token can be put right, an event that was thrown away can't.
    return Later(f"status {status}: {_detail(text)}", seconds_of(retry_after))


def seconds_of(retry_after: str | None) -> float | None:
    """The seconds that a Retry-After header asks for (RFC 9110, 10.2.3): a number, or a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def pause(failures: int, retry_after: float | None, *, first: float = 0.1, most: float = 15.0) -> float:
    """Seconds to wait after so many failures in a row.

    Exponential, with jitter, never less than was asked, within an hour.
    """
    ceiling = min(most, first * 2.0 ** min(failures - 1, 30))
    jittered = random.uniform(ceiling / 2, ceiling)  # noqa: S311  # spreads load, hides nothing
    return max(min(retry_after or 0.0, LONGEST), jittered)


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _kind(text: str) -> str:
    return str(_document(text).get("type", "")).rpartition(":")[2]


def _detail(text: str) -> str:
    return str(_document(text).get("detail") or text[:200])


def _wrong_items(text: str, size: int) -> tuple[tuple[int, str], ...]:
    document = _document(text)
    reasons: dict[int, str] = {}
    errors = document.get("errors")
    for wrong in errors if isinstance(errors, list) else ():
        item = wrong.get("item") if isinstance(wrong, dict) else None
        if isinstance(item, int) and not isinstance(item, bool) and 0 <= item < size:
            answer = ": ".join(str(wrong[key]) for key in ("field", "message") if wrong.get(key))
            reasons.setdefault(item, answer or str(document.get("detail", "refused")))
    return tuple(sorted(reasons.items()))
