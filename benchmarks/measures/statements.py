"""How many statements and Redis commands one message takes, Celery's own apart from ours."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from threading import Event, Thread

from benchmarks import load
from benchmarks.figures import Bench, Measured, at_most
from benchmarks.stack import Plan, Stack, stack

_LINE = re.compile(r'^\+?[\d.]+ \[(\d+) ([^\]]*)\] "([^"]*)"(?: "([^"]*)")?')
BUDGET = 8


def measure(bench: Bench) -> Measured:
    """Some messages one after the other, with everybody's commands written down."""
    count = bench.of(50, 200)
    written = bench.folder / "statements.log"
    plan = Plan(
        database=bench.database,
        environment={"BENCH_STATEMENTS": str(written)},
        counted=True,
        without=frozenset({"beat"}),
    )
    with stack(plan, bench.folder / "statements") as up:
        asyncio.run(load.one_after_the_other(up, 60, 20, askers=1))
        bench.say(f"{count} messages, one after the other, in 20 conversations")
        start = written.stat().st_size
        listening = _Listening(up)
        asyncio.run(load.one_after_the_other(up, count, 20, askers=1))
        commands = listening.stop()
    with written.open(encoding="utf-8") as log:
        log.seek(start)
        statements = Counter(line.rstrip() for line in log)
    # what comes less often than every second message is of the workers' own life: heart beats, canaries, sweeps
    sql = {text: number / count for text, number in statements.items() if number >= count / 2}
    ours = {name: number / count for (database, name), number in commands.items() if database == 0}
    celerys = {name: number / count for (database, name), number in commands.items() if database == 1}
    ours, celerys = ({name: n for name, n in each.items() if n >= 0.5} for each in (ours, celerys))
    rows: list[tuple[str, ...]] = [
        ("statement", "per message"),
        *((text, f"{number:.1f}") for text, number in sorted(sql.items())),
    ]
    redis_rows: list[tuple[str, ...]] = [("command", "whose", "per message")]
    redis_rows += [(name, "ours", f"{number:.1f}") for name, number in sorted(ours.items())]
    redis_rows += [(name, "Celery's", f"{number:.1f}") for name, number in sorted(celerys.items())]
    round_trips = sum(number for text, number in sql.items() if not text.startswith(("BEGIN", "COMMIT")))
    return Measured(
        "Statements and commands",
        f"{count} DingTalk messages in 20 known conversations, one after the other; every process writes down its SQL "
        "statements, and Redis tells every command (MONITOR), Celery's in a database of its own. What comes less often "
        "than at every second message belongs to heart beats, canaries and events, and is left out.",
        [
            at_most("SQL statements of a message", round_trips, BUDGET, ""),
            at_most("Redis round trips of a message, ours", sum(ours.values()), BUDGET, ""),
            at_most("Redis commands of a message, Celery's", sum(celerys.values()), 40, ""),
        ],
        {"sql": sql, "redis_ours": ours, "redis_celery": celerys},
        {"SQL statements": rows, "Redis commands": redis_rows},
    )


class _Listening:
    """Counts (database, command with the kind of its key) until it is told to stop."""

    def __init__(self, up: Stack) -> None:
        self._client = up.redis()
        self._counts: Counter[tuple[int, str]] = Counter()
        self._stop = Event()
        self._ready = Event()
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()
        self._ready.wait(5)
        self._up = up

    def stop(self) -> Counter[tuple[int, str]]:
        self._stop.set()
        with self._up.redis() as other:
            other.ping()  # wakes the listener
        self._thread.join(5)
        return self._counts

    def _listen(self) -> None:
        with self._client.monitor() as monitor:  # type: ignore[no-untyped-call]
            self._ready.set()
            for line in self._lines(monitor):
                match = _LINE.match(line)
                if match and match[2] != "lua":  # what a script does is inside one command
                    self._counts[(int(match[1]), _named(match[3], match[4] or ""))] += 1

    def _lines(self, monitor: object) -> Iterator[str]:
        while not self._stop.is_set():
            line = monitor.connection.read_response()  # type: ignore[attr-defined]
            yield line.decode() if isinstance(line, bytes) else str(line)


def _named(command: str, key: str) -> str:
    kind = re.sub(r"[0-9a-f]{8,}[-0-9a-f]*|\d+", "N", key)
    return f"{command.upper()} {kind}".strip()
