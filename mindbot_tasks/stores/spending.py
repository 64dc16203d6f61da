"""What every call of a model cost: noted by whoever calls, added up per day, person and model.

Two ways to say it, and neither is ever counted twice:

`note` costs the caller nothing. During a stage of a message it is kept until `steps.save_answer` writes it with the
answer, in the same transaction; what a stage has noted without saving an answer, and whatever is noted elsewhere, a
thread carries to the database every two seconds (a killed process loses those two seconds).

`write` adds calls in a transaction of the caller's own: for work that is saved, and must be paid for, together.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Connection, bindparam, delete

from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.metrics import COST, PROVIDER_CALLS, TOKENS
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.settings.known_models import Price
from mindbot_tasks.stores.cleaning import cut
from mindbot_tasks.stores.database import transaction
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.tables_spending import SpendingRow

log = structlog.get_logger(__name__)

FLUSH_S: Final = 2.0
NANO: Final = 1_000_000_000
AGENT_ANSWER: Final = "agent_answer"  #: purpose of an agent's answer as a whole, whose calls are noted one by one
_COLUMNS: Final = tuple(SpendingRow.__table__.c.keys())
_KEYS: Final = tuple(column.name for column in SpendingRow.__table__.primary_key)
_COST: Final = 4  #: place of the cost among the sums
_LENGTHS: Final = (10, 40, 80, 255, 80, 120, 80, 20)

Key = tuple[str, ...]
Sums = list[int]


@dataclass(frozen=True, slots=True)
class Whose:
    """For whom a call was made; empty where nobody asked."""

    platform: str = ""
    bot: str = ""
    user: str = ""  #: the platform's own id


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model, an answer or not, successful or not."""

    provider: str  #: its name in the configuration
    model: str = ""
    workflow: str = ""
    purpose: str = "answer"  #: answer, agent, agent_answer, summary, classification, embedding, transcription ...
    ok: bool = True
    input_tokens: int = 0
    output_tokens: int = 0
    price: Price | None = None  #: None: nobody knows it
    cost_nano: int | None = None  #: what it cost, where the far side says so itself; goes before `price`
    took_ms: int = 0


def note(call: Call, *, whose: Whose | None = None) -> None:
    """A call has ended. Never waits and never raises; `whose` only where the call is not made during a stage."""
    desk = _desk.get()
    if whose is None:
        whose = desk.whose if desk is not None else Whose()
    entry = _entry(call, whose)
    _measure(call, entry[1][_COST])
    if desk is None:
        _book.add([entry])
    else:
        desk.entries.append(entry)


def write(connection: Connection, calls: Sequence[Call], whose: Whose) -> None:
    """Add calls in the caller's transaction."""
    entries = [_entry(call, whose) for call in calls]
    _add(connection, _together(entries))
    for call, (_, sums) in zip(calls, entries, strict=True):
        _measure(call, sums[_COST])


def whose() -> Whose:
    """For whom this thread works, if it works on a message; to hand on to a thread that does not know."""
    desk = _desk.get()
    return desk.whose if desk is not None else Whose()


def today(now: float | None = None) -> str:
    """The day that a call of this moment belongs to."""
    moment = datetime.fromtimestamp(time.time() if now is None else now, _zone(get_settings().budgets.timezone))
    return f"{moment:%Y-%m-%d}"


def forget_old(connection: Connection, *, days: int) -> int:
    """Drop the totals of days that are longer ago; returns how many rows went."""
    gone = connection.execute(delete(SpendingRow).where(SpendingRow.day < today(time.time() - days * 86_400)))
    return gone.rowcount


@functools.lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


# a stage of a message: what it notes goes with its answer


@dataclass(slots=True)
class _Desk:
    whose: Whose
    entries: list[tuple[Key, Sums]] = field(default_factory=list)
    saved: int = 0  #: so many of them are in the answer


_desk: ContextVar[_Desk | None] = ContextVar("desk", default=None)


def begin(whose: Whose) -> None:
    """From here this thread works on a message of somebody."""
    _desk.set(_Desk(whose))


def for_answer() -> list[list[Any]] | None:
    """What goes into `answers.spent`; whoever asks saves it, and says `end(lost=True)` if that did not work."""
    desk = _desk.get()
    if desk is None or len(desk.entries) == desk.saved:
        return None
    fresh = desk.entries[desk.saved :]
    desk.saved += len(fresh)
    return [[*key, *sums] for key, sums in sorted(_together(fresh).items())]


def end(*, lost: bool = False) -> None:
    """The stage is over: what did not go with an answer is carried to the database by itself.

    lost: the answer could not be saved after all.
    """
    desk = _desk.get()
    _desk.set(None)
    if desk is not None and (left := desk.entries if lost else desk.entries[desk.saved :]):
        _book.add(left)


# what does not go with an answer


class Book:
    """What this process has noted and not yet written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None
        self._sums: dict[Key, Sums] = {}

    def add(self, entries: Iterable[tuple[Key, Sums]]) -> None:
        with self._lock:
            _together(entries, self._sums)
            if self._thread is None:
                self._begin()
        self._news.set()

    def flush(self) -> None:
        """Write it. Raises DatabaseUnavailable, and keeps it then."""
        with self._lock:
            self._news.clear()
            sums, self._sums = self._sums, {}
        if not sums:
            return
        try:
            with transaction() as connection:
                _add(connection, sums)
        except DatabaseUnavailable:
            with self._lock:
                _together(sums.items(), self._sums)
            self._news.set()
            raise

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._run, name="spending", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self._news.wait()
            time.sleep(FLUSH_S)
            try:
                self.flush()
            except DatabaseUnavailable as exc:
                log.debug("spending_not_written", reason=str(exc))
            except Exception:
                log.exception("spending_failed")  # whatever it was, the next try may work


_book = Book()


def flush() -> None:
    """Write what is noted now, for a process that ends. Never raises."""
    try:
        _book.flush()
    except DatabaseUnavailable as exc:
        log.warning("spending_lost", reason=str(exc))


def _forget_after_fork() -> None:
    global _book
    _book = Book()


os.register_at_fork(after_in_child=_forget_after_fork)


# rows


def _measure(call: Call, cost_nano: int) -> None:
    outcome = "ok" if call.ok else "failed"
    PROVIDER_CALLS.labels(call.provider, call.model, call.workflow, call.purpose, outcome).inc()
    if call.input_tokens:
        TOKENS.labels(call.provider, call.model, "in").inc(call.input_tokens)
    if call.output_tokens:
        TOKENS.labels(call.provider, call.model, "out").inc(call.output_tokens)
    if cost_nano:
        COST.labels(call.provider, call.model).inc(cost_nano / NANO)


def _entry(call: Call, whose: Whose) -> tuple[Key, Sums]:
    given = (
        today(),
        whose.platform,
        whose.bot,
        whose.user,
        call.provider,
        call.model,
        call.workflow,
        call.purpose,
    )
    key = tuple(cut(value, length) for value, length in zip(given, _LENGTHS, strict=True))
    cost = call.cost_nano
    if cost is None and call.price is not None:
        cost = round(call.price.of(call.input_tokens, call.output_tokens) * NANO)
    unpriced = cost is None and (call.input_tokens or call.output_tokens)
    sums = [1, int(not call.ok), call.input_tokens, call.output_tokens, cost or 0, int(bool(unpriced)), call.took_ms]
    return key, sums


def _together(entries: Iterable[tuple[Key, Sums]], into: dict[Key, Sums] | None = None) -> dict[Key, Sums]:
    into = {} if into is None else into
    for key, sums in entries:
        known = into.get(key)
        into[key] = list(sums) if known is None else [one + other for one, other in zip(known, sums, strict=True)]
    return into


def _add(connection: Connection, sums: Mapping[Key, Sums]) -> None:
    # always in the same order, or two transactions could wait for each other
    rows = [dict(zip(_COLUMNS, (*key, *sums[key]), strict=True)) for key in sorted(sums)]
    if rows:
        connection.execute(_adding(connection.dialect.name), rows)


@functools.cache
def _adding(dialect: str) -> Any:
    table: Any = SpendingRow.__table__
    values = {name: bindparam(name, type_=table.c[name].type) for name in _COLUMNS}
    insert: Any = insert_into(table, dialect).values(values)
    more = {name: table.c[name] + insert.excluded[name] for name in _COLUMNS if name not in _KEYS}
    return insert.on_conflict_do_update(index_elements=list(_KEYS), set_=more)
