"""What a message that has ended says about those who were asked for its answer. Pure.

| in the ledger | counts |
| --- | --- |
| a try that gave the answer | asked, answered, its time |
| a try that failed | asked, the kind of its error; recovered, because another one answered |
| a try that was not made (breaker, limit) | skipped, recovered |
| no answer at all | unanswered, for the workflow that it was classified for |
| the same person asks the same again | reasked, for whoever answered before |
| another workflow than before, within half an hour | a step from that one to this one |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mindbot_tasks.stores.claims import OUR_OWN_WORDS
from mindbot_tasks.stores.tallies import DAY_MS, Batch, Key

#: each bucket of times ends 7 % after its beginning
BUCKET = 1.07
#: nobody goes on with, or repeats, what was longer ago
CONTINUED_WITHIN_MS = 30 * 60_000
REASKED_WITHIN_MS = 10 * 60_000
#: two texts that share this much of their pairs of letters ask the same
ALIKE = 0.7
_ALIKE_CHARS = 400
_NOT_A_MODEL = frozenset({OUR_OWN_WORDS, "apology", ""})

Supposed = Callable[[str, str], tuple[str, str]]
"""Label and person -> the workflow's answerer and the variant that this person would get; ("", "") without one."""


def bucket_of(ms: int) -> int:
    """The bucket of a time."""
    return int(math.log(max(ms, 1)) / math.log(BUCKET))


def middle_of(bucket: int) -> float:
    """The time in milliseconds that stands for a bucket."""
    return float(BUCKET ** (bucket + 0.5))


def count(rows: Iterable[Any], supposed: Supposed) -> Batch:
    """What these messages add; `rows` are those of `stores.tallies.ended_after`."""
    batch = Batch()
    for row in rows:
        if row.finished_at is None or row.label is None or (row.merged_into or row.id) != row.id:
            continue
        if row.label.startswith("/"):
            continue
        if row.provider not in (None, *_NOT_A_MODEL):
            _answered(batch, row)
            _after_another(batch, row)
        elif row.verdict in ("failed", "late") and row.classified_at is not None and row.answered_at is None:
            answerer, variant = supposed(row.label, f"{row.platform}:{row.sender_ref}")
            if answerer:
                batch.tally(row.finished_at // DAY_MS, answerer, variant).unanswered += 1
    return batch


def _answered(batch: Batch, row: Any) -> None:
    details = row.details or {}
    day = row.created_at // DAY_MS
    tries = [one for one in _list(details.get("tries")) if isinstance(one, dict) and one.get("answerer")]
    if not tries:
        tries = [{"answerer": answerer_of(row.provider, row.workflow, {}), "outcome": "ok", "ms": row.latency_ms}]
    for one in tries:
        answerer = str(one["answerer"])
        tally = batch.tally(day, answerer, variant_of(details, answerer))
        if one.get("skipped"):
            tally.skipped += 1
            tally.recovered += 1
        elif one.get("outcome") == "ok":
            took_ms = int(one.get("ms") or 0)
            tally.asked += 1
            tally.answered += 1
            tally.took_ms += took_ms
            bucket = bucket_of(took_ms)
            tally.took[bucket] = tally.took.get(bucket, 0) + 1
        else:
            kind = str(one.get("kind") or "unknown")[:40]
            tally.asked += 1
            tally.recovered += 1
            tally.errors[kind] = tally.errors.get(kind, 0) + 1


def _after_another(batch: Batch, row: Any) -> None:
    """What it says about the message before it in its conversation, if the same person wrote that."""
    if row.before_finished_at is None or row.before_sender_ref != row.sender_ref or row.before_label is None:
        return
    gap_ms = row.received_at - row.before_finished_at
    if gap_ms > CONTINUED_WITHIN_MS or row.before_provider in (None, *_NOT_A_MODEL):
        return
    if gap_ms <= REASKED_WITHIN_MS and alike(row.before_text, row.text):
        before = answerer_of(row.before_provider, row.before_workflow, row.before_details or {})
        variant = variant_of(row.before_details or {}, before)
        batch.tally(row.before_created_at // DAY_MS, before, variant).reasked += 1
    elif row.label != row.before_label and not row.before_label.startswith("/"):
        step = (row.received_at // DAY_MS, row.platform, row.bot, row.before_label, row.label)
        batch.steps[step] = batch.steps.get(step, 0) + 1


def votes(rows: Iterable[Any]) -> dict[Key, tuple[int, int]]:
    """Thumbs up and down by day, answerer and variant; `rows` are those of `stores.tallies.voted`."""
    found: dict[Key, tuple[int, int]] = {}
    for created_at, provider, workflow, details, vote in rows:
        if provider in _NOT_A_MODEL:
            continue
        answerer = answerer_of(provider, workflow, details or {})
        key = (created_at // DAY_MS, answerer[:120], variant_of(details or {}, answerer)[:160])
        up, down = found.get(key, (0, 0))
        found[key] = (up + (vote == "up"), down + (vote == "down"))
    return found


def answerer_of(provider: str, workflow: str, details: Mapping[str, Any]) -> str:
    """Who gave an answer: the last of its tries, else by what it says of itself."""
    for one in reversed(_list(details.get("tries"))):
        if isinstance(one, dict) and one.get("outcome") == "ok" and one.get("answerer"):
            return str(one["answerer"])
    if provider == "offline":
        return provider
    return f"workflow:{workflow}" if workflow else f"provider:{provider}"


def variant_of(details: Mapping[str, Any], answerer: str) -> str:
    """The variant as which an answerer was asked; "" if it was as itself."""
    experiment = details.get("experiment")
    if isinstance(experiment, dict) and experiment.get("answerer") == answerer:
        return str(experiment.get("variant") or "")
    return ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def alike(one: str, other: str) -> bool:
    """Whether two texts ask the same: without case, blanks and punctuation they share most pairs of letters.

    >>> alike("How do I reset my password?", "how do i reset my pasword"), alike("what is 2+2", "what is 3+2")
    (True, False)
    """
    first, second = _letters(one), _letters(other)
    if not first or not second:
        return False
    if first == second:
        return True
    if _digits(first) != _digits(second):
        return False
    pairs, others = _pairs(first), _pairs(second)
    if not pairs or not others:
        return False
    return 2 * len(pairs & others) / (len(pairs) + len(others)) >= ALIKE


def _letters(text: str) -> str:
    return "".join(letter for letter in text[:_ALIKE_CHARS].casefold() if letter.isalnum())


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())


def _pairs(text: str) -> set[str]:
    return {text[place : place + 2] for place in range(len(text) - 1)}
