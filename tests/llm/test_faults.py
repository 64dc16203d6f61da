"""Providers that misbehave, and several processes at once: people get one answer, in time, and nobody is hammered."""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from emulators.running import Emulator, running
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Throttled
from mindbot_tasks.core.http import Patience
from mindbot_tasks.llm.fallback import Way, answer
from mindbot_tasks.llm.openai_chat import ChatModel
from mindbot_tasks.stores import breaker, limiter, spending
from tests.llm.asking import nobody, question

pytestmark = pytest.mark.usefixtures("shared")
SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload([__name__])
FIRST = "provider:first"
#: patience with the provider that misbehaves, and what the whole answer may take on a slow machine
SHARE_S, IN_TIME_S = 0.6, 25.0
NOW_US = 1_700_000_000_000_000
#: how long the one that probes is kept waiting; the others come meanwhile
PROBE_MS = 3000
_ids = itertools.count(1000)


def model(name: str, url: str, patience_s: float = 20) -> Way:
    patience = Patience(patience_s, patience_s, patience_s)
    return Way(
        ChatModel(f"provider:{name}", f"{url}/v1/chat/completions", f"model-{name}", patience=patience), patience_s
    )


def calls(openai: Emulator) -> int:
    return len(openai.control.calls(path="/v1/chat/completions"))


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("throttle", {"retry_after": 30}),
        ("status", {"status": 500}),
        ("drip", {"bytes_per_s": 20}),
        ("silence", {"seconds": 30, "ping": True, "ping_every_s": 0.2}),
        ("cut", {"after_events": 2, "reset": True}),
        ("cut", {"after_events": 2, "clean": True}),
        ("error_event", {"after_events": 2}),
        ("malformed", {"what": "json"}),
        ("malformed", {"what": "cut_event"}),
        ("malformed", {"what": "html"}),
        ("malformed", {"what": "empty"}),
        ("accept_then_cut", {}),
        ("answer", {"text": " "}),
    ],
    ids=lambda value: "-".join(str(part) for part in value.values()) if isinstance(value, dict) else value,
)
def test_one_answer_in_time(openai: Emulator, fault: str, options: dict[str, Any]) -> None:
    openai.control.fault(fault, contains="model-first", **options)
    seen: list[str] = []
    started = time.monotonic()
    ways = [model("first", openai.url, SHARE_S), model("second", openai.url)]
    told = answer(ways, question("one two three", message_id=next(_ids)), {}, Deadline(30), seen.append)
    assert time.monotonic() - started < IN_TIME_S
    assert (told.answerer, told.answer.text) == ("provider:second", "You said: one two three")
    assert seen[-1] == told.answer.text, "what was shown of the first one's answer is gone"
    assert [one["answerer"] for one in told.answer.details["tries"]] == [FIRST, "provider:second"]  # type: ignore


def test_a_provider_that_is_switched_off_in_mid_answer(openai: Emulator) -> None:
    with running("openai") as doomed:
        doomed.control.fault("answer", text="one two " + "more " * 100, always=True)
        doomed.control.pace(tokens_per_second=5)
        seen: list[str] = []

        def watch(text: str) -> None:
            seen.append(text)
            if text == "one two":
                threading.Thread(target=doomed.kill).start()

        ways = [model("first", doomed.url), model("second", openai.url)]
        started = time.monotonic()
        told = answer(ways, question("hello", message_id=next(_ids)), {}, Deadline(30), watch)
    assert "one two" in seen
    assert told.answer.text == "You said: hello" == seen[-1]
    assert time.monotonic() - started < IN_TIME_S


class Workers:
    """Processes that want answers of the first provider alone; they begin together."""

    def __init__(self, redis_url: str, count: int = 3) -> None:
        self._gate = SPAWN.Barrier(count + 1)
        self._orders = [SPAWN.SimpleQueue() for _ in range(count)]
        self._results = SPAWN.Queue()
        self._processes = [
            SPAWN.Process(target=_work, args=(redis_url, self._gate, orders, self._results)) for orders in self._orders
        ]
        for process in self._processes:
            process.start()

    def ask(self, url: str, tries: int, answers: int = 0, meanwhile: Callable[[], None] = lambda: None) -> list[str]:
        """Who answered, or the code or name of the error; each worker tries so often, and until it has its answers."""
        for orders in self._orders:
            orders.put((url, tries, answers))
        self._gate.wait(60)
        meanwhile()
        return [word for _ in self._processes for word in self._results.get(timeout=60)]

    def close(self) -> None:
        for orders in self._orders:
            orders.put(None)
        for process in self._processes:
            process.join(30)


def _work(redis_url: str, gate: Any, orders: Any, results: Any) -> None:
    client: Any = redis.Redis.from_url(redis_url, decode_responses=True)
    limiter.get_redis = lambda: client
    spending.Book._begin = lambda self: None  # nothing goes into the database of whoever runs the test
    # however slow they are, they are within one window of the breaker
    breaker.ask = functools.partial(breaker.ask, at_us=NOW_US)
    breaker.report = functools.partial(breaker.report, at_us=NOW_US)
    ids = itertools.count(os.getpid() * 1_000_000)
    while order := orders.get():
        url, tries, answers = order
        breaker._successes.clear()  # those of an earlier test would be told with the first call of this one
        gate.wait(60)
        found: list[str] = []
        until = time.monotonic() + 50
        while (len(found) < tries or found.count(FIRST) < answers) and time.monotonic() < until:
            try:
                told = answer([model("first", url)], question(message_id=next(ids)), {}, Deadline(30), nobody)
                found.append(told.answerer)
            except Exception as exc:  # noqa: BLE001 - its name is what the test wants to know
                found.append(str(getattr(exc, "code", None) or type(exc).__name__))
            time.sleep(0.02)
        results.put(found)


@pytest.fixture(scope="module")
def workers(redis_url: str) -> Iterator[Workers]:
    some = Workers(redis_url)
    yield some
    some.close()


def test_no_worker_calls_during_the_pause_that_a_server_asked_for(openai: Emulator, workers: Workers) -> None:
    openai.control.fault("throttle", contains="model-first", retry_after=280)
    with pytest.raises(Throttled):
        answer([model("first", openai.url)], question(message_id=next(_ids)), {}, Deadline(30), nobody)
    found = workers.ask(openai.url, 6)
    assert set(found) == {"our_pause"}
    assert len(found) == 3 * 6
    assert calls(openai) == 1


def test_a_burst_of_errors_opens_the_breaker_for_all_workers(openai: Emulator, workers: Workers) -> None:
    openai.control.fault("status", contains="model-first", status=500, always=True)
    found = workers.ask(openai.url, 12)
    assert found.count("Unavailable") == calls(openai)
    assert 10 <= calls(openai) <= 10 + 3, "ten, and what was under way when it opened"
    assert found.count("breaker_open") == len(found) - calls(openai)


def test_one_worker_probes_and_all_go_on_when_it_gets_its_answer(
    openai: Emulator, workers: Workers, shared: Any
) -> None:
    """The breaker has been open for long enough. The server is slow: all others come while the probe is under way."""
    shared.hset(f"mindbot:breaker:{FIRST}", mapping={"open_until": 1, "probe_until": 0, "trips": 1})
    openai.control.fault("delay", contains="model-first", delay_ms=PROBE_MS)
    found = workers.ask(openai.url, 1, answers=2)
    assert set(found) == {FIRST, "breaker_open"}
    assert found.count("breaker_open") >= 2, "they were refused meanwhile"
    assert found.count(FIRST) >= 3 * 2, "and answered afterwards"
    first, *others = openai.control.calls(path="/v1/chat/completions")
    assert all(other["at_ms"] >= first["at_ms"] + PROBE_MS for other in others), "nobody called beside the probe"
    assert shared.hget(f"mindbot:breaker:{FIRST}", "open_until") is None
