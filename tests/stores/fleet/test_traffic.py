"""When a bot last heard and said something: told in one round trip for however many messages."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis

from mindbot_tasks.stores import limiter, traffic
from mindbot_tasks.stores.traffic import Book

#: as it is without tests, for which no thread begins
BEGIN = Book._begin


@pytest.fixture
def book() -> Book:
    return Book()


def test_the_latest_of_the_fleet_counts(shared: Any, book: Book) -> None:
    other = Book()
    book.note("aim", "default", "in")
    time.sleep(0.1)
    noted_at = time.monotonic()
    other.note("aim", "default", "in")
    other.note("aim", "default", "out")
    other.flush(shared)
    book.flush(shared)  # late, with older news
    (found,) = (traffic.read_all(client=shared) or {}).values()
    assert found.inbound_s is not None
    assert found.inbound_s <= time.monotonic() - noted_at + 0.02
    assert found.outbound_s is not None


def test_a_thousand_messages_are_one_round_trip(shared: Any, book: Book) -> None:
    for number in range(1000):
        book.note("aim", f"bot{number % 3}", "in")
    before = shared.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    book.flush(shared)
    book.flush(shared)  # nothing new: no round trip
    assert shared.info("commandstats")["cmdstat_evalsha"]["calls"] - before <= 2  # the first may have to send the text
    assert set(traffic.read_all(client=shared) or {}) == {("aim", f"bot{number}") for number in range(3)}


@pytest.mark.usefixtures("no_redis")
def test_without_redis_nothing_is_known_and_nothing_is_forgotten(book: Book) -> None:
    gone = limiter.get_redis()
    book.note("aim", "default", "in")
    with pytest.raises(redis.RedisError):
        book.flush(gone)
    assert book._seen
    assert traffic.read_all(client=gone) is None


def test_the_thread_tells_by_itself(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Book, "_begin", BEGIN)
    monkeypatch.setattr(traffic, "FLUSH_S", 0.05)
    monkeypatch.setattr(traffic, "get_redis", lambda: shared)
    Book().note("aim", "default", "out")
    ends_at = time.monotonic() + 30
    while not traffic.read_all(client=shared):
        assert time.monotonic() < ends_at
        time.sleep(0.02)
