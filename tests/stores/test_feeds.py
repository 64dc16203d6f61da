"""Feeds under any sequence of bells, readers, deaths and late returns: every message once, in order, none left."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select, update

from mindbot_tasks.stores import feeds, inbox, workers
from mindbot_tasks.stores.database import one_statement, transaction
from mindbot_tasks.stores.feeds import Feed, LostFeed
from mindbot_tasks.stores.tables import FeedRow, MessageRow
from tests.conftest import truncate
from tests.stores.words import DEADLINE_MS, message

PAGE = 2
READERS = range(3)


@dataclass
class Reader:
    held: Feed | None = None
    page: tuple[int, int] | None = None  #: fetched, not recorded yet


class World:
    """A far side with numbered messages, and readers of one feed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.said = 0
        self.readers = [Reader() for _ in READERS]
        with one_statement(engine) as connection:
            feeds.know(connection, "chat", "default", "wk1")
            self.feed_id = connection.execute(select(FeedRow.id)).scalar_one()

    def act(self, what: str, who: int) -> None:
        getattr(self, what)(self.readers[who])

    def say(self, _: Reader) -> None:
        self.said += 1

    def ring(self, _: Reader) -> None:
        with one_statement(self.engine) as connection:
            feeds.ring(connection, "chat", "default", "wk1", "token")

    def take(self, reader: Reader) -> None:
        if reader.held is None:
            with one_statement(self.engine) as connection:
                reader.held = feeds.take(connection, self.feed_id, 1)

    def fetch(self, reader: Reader) -> None:
        if reader.held is not None and reader.page is None:
            start = int(reader.held.cursor or 0)
            reader.page = (start, min(start + PAGE, self.said))

    def record(self, reader: Reader) -> None:
        if reader.held is None or reader.page is None:
            return
        start, end = reader.page
        reader.page = None
        try:
            with transaction(self.engine) as connection:
                for number in range(start, end):
                    inbox.record_once(connection, message(f"m{number}"), deadline_ms=DEADLINE_MS)
                reader.held = feeds.advance(connection, reader.held, str(end))
        except LostFeed:
            reader.held = None

    def serve(self, reader: Reader) -> None:
        """At the end of the feed, as far as this reader has seen."""
        if reader.held is None or reader.page is not None or int(reader.held.cursor or 0) < self.said:
            return
        try:
            with one_statement(self.engine) as connection:
                reader.held = feeds.served(connection, reader.held)
        except LostFeed:
            reader.held = None

    def die(self, reader: Reader) -> None:
        reader.held = reader.page = None

    def expire(self, _: Reader) -> None:
        """Whoever holds the feed was silent for too long; he does not know yet."""
        with one_statement(self.engine) as connection:
            connection.execute(update(FeedRow).values(held_until=0))

    def settle(self) -> None:
        """What the sweeper's starts come to in the end."""
        self.expire(self.readers[0])
        last = Reader()
        self.take(last)
        assert last.held is not None
        while last.held is not None:
            self.fetch(last)
            self.record(last)
            self.serve(last)

    def recorded(self) -> list[str]:
        with one_statement(self.engine) as connection:
            return list(connection.execute(select(MessageRow.external_id).order_by(MessageRow.id)).scalars())


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors, HealthCheck.too_slow],
)
@given(
    acts=st.lists(
        st.tuples(
            st.sampled_from(["say", "say", "ring", "take", "fetch", "record", "record", "serve", "die", "expire"]),
            st.sampled_from(READERS),
        ),
        max_size=40,
    )
)
def test_every_message_is_recorded_once_and_in_order_whatever_happens(
    engine: Engine, acts: list[tuple[str, int]]
) -> None:
    truncate(engine)
    world = World(engine)
    for what, who in acts:
        world.act(what, who)
        numbers = world.recorded()
        assert numbers == [f"m{number}" for number in range(len(numbers))]
    world.settle()
    assert world.recorded() == [f"m{number}" for number in range(world.said)]
    with one_statement(engine) as connection:
        assert list(feeds.due(connection, poll_ms=180_000)) == []
        kept = connection.execute(select(FeedRow.__table__)).one()
    assert (kept.served, kept.holder) == (kept.rung, None)


def test_only_feeds_of_workers_that_are_gone_are_freed(engine: Engine) -> None:
    with one_statement(engine) as connection:
        alive, dead = (workers.register(connection, name, ["collect"]) for name in ("alive", "dead"))
        ids = [feeds.ring(connection, "chat", "default", feed) for feed in ("wk1", "wk2", "wk3")]
        assert feeds.take(connection, ids[0], alive)
        assert feeds.take(connection, ids[1], dead)
        workers.leave(connection, dead)
        assert feeds.free_lost(connection) == 1
        assert feeds.take(connection, ids[0], alive) is None
        assert feeds.take(connection, ids[1], alive)


def test_the_token_of_the_latest_bell_counts(engine: Engine) -> None:
    with one_statement(engine) as connection:
        first = feeds.ring(connection, "chat", "default", "wk1", "one")
        assert feeds.ring(connection, "chat", "default", "wk1", "t\x00wo" * 300) == first
        held = feeds.take(connection, first, 1)
    assert held is not None
    assert (held.rung, len(held.token)) == (2, 512)
