"""Reading what a platform only announces: nothing is lost, doubled or overtaken, whoever dies when."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from mindbot_tasks import chains, intake, presence, sweep
from mindbot_tasks.app import app
from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.errors import Draining, Rejected, Throttled, Unavailable
from mindbot_tasks.model.message import Stage
from mindbot_tasks.model.news import Bell, News, Occurrence
from mindbot_tasks.platforms import registry
from mindbot_tasks.stores import feeds, occurrences, workers
from mindbot_tasks.stores.database import one_statement, reading
from mindbot_tasks.stores.feeds import LostFeed
from mindbot_tasks.stores.tables import ConversationRow, FeedRow, MessageRow, OccurrenceRow, WorkerRow
from tests.stages.conftest import Configure, Ledger
from tests.stages.puller import Puller
from tests.stores.words import message


@pytest.fixture
def puller(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> Puller:
    it = Puller()
    monkeypatch.setitem(registry.FACTORIES, "puller", lambda bot, _settings: it if bot == "default" else None)
    app.loader.import_default_modules()
    return it


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The feeds whose reading was started, in place of the broker's queue."""
    ids: list[int] = []
    monkeypatch.setattr(chains, "collect", lambda feed_id: bool(ids.append(feed_id)) or True)
    return ids


@pytest.fixture
def feed(puller: Puller, rung: list[int], started: list[tuple[int, Stage]]) -> int:
    """A feed whose bell has rung once."""
    return ring()


def ring(bell: str = "token-1") -> int:
    intake.news("puller", "default", News(bells=[Bell("wk1", bell)]))
    with reading() as connection:
        return int(connection.execute(select(FeedRow.id).where(FeedRow.feed == "wk1")).scalar_one())


def say(text: str = "hello", *, age_s: float = 0, **other: Any) -> Any:
    return message(platform="puller", text=text, sent_at_ms=now_ms() - int(age_s * 1000), **other)


def collect(feed_id: int) -> str:
    return str(app.tasks["mindbot.collect"].apply(args=(feed_id,)).state)


def row(feed_id: int) -> Any:
    with reading() as connection:
        return connection.execute(select(FeedRow.__table__).where(FeedRow.id == feed_id)).one()


def recorded() -> list[Any]:
    with reading() as connection:
        return list(connection.execute(select(MessageRow.__table__).order_by(MessageRow.id)))


def change(feed_id: int, **values: Any) -> None:
    with one_statement() as connection:
        connection.execute(update(FeedRow).where(FeedRow.id == feed_id).values(**values))


def test_every_message_of_every_page_is_kept_not_only_the_last(
    puller: Puller, feed: int, started: list[tuple[int, Stage]]
) -> None:
    puller.items = [say(f"number {n}", conversation=f"c{n}") for n in range(5)]
    assert collect(feed) == "SUCCESS"
    assert [one.text for one in recorded()] == [f"number {n}" for n in range(5)]
    assert [stage for _, stage in started] == [Stage.CLASSIFY] * 5
    assert puller.pulled == [("", "token-1"), ("2", "token-1"), ("4", "token-1")]
    kept = row(feed)
    assert (kept.cursor, kept.served, kept.rung, kept.holder) == ("5", 1, 1, None)


def test_a_page_without_anything_that_promises_more_is_followed(puller: Puller, feed: int) -> None:
    puller.empty_pages = True
    puller.items = [say(str(n)) for n in range(3)]
    collect(feed)
    assert len(recorded()) == 3


def test_a_far_side_that_promises_more_for_ever_is_left_for_later(puller: Puller, feed: int) -> None:
    puller.page_size = 0
    puller.items = [say()]
    assert collect(feed) == "RETRY"
    assert row(feed).not_before is not None


def test_only_the_first_of_a_conversation_is_started_and_the_others_wait(
    puller: Puller, feed: int, started: list[tuple[int, Stage]]
) -> None:
    puller.items = [say("one"), say("two")]
    collect(feed)
    assert len(started) == 1


def test_a_second_reading_goes_on_where_the_first_has_ended(puller: Puller, feed: int) -> None:
    puller.items = [say("one")]
    collect(feed)
    puller.items.append(say("two"))
    ring("token-2")
    collect(feed)
    assert puller.pulled == [("", "token-1"), ("1", "token-2")]
    assert [one.text for one in recorded()] == ["one", "two"]


def test_a_bell_during_the_reading_is_one_more_round(puller: Puller, feed: int) -> None:
    puller.items = [say("one")]

    def meanwhile() -> None:
        ring("token-2")
        assert collect(feed) == "IGNORED", "somebody is at it"

    puller.before_pull = [meanwhile]
    collect(feed)
    assert puller.pulled == [("", "token-1"), ("1", "token-2")]
    assert (row(feed).rung, row(feed).served) == (2, 2)


def test_the_cursor_and_its_messages_are_one_commit(puller: Puller, feed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    puller.items = [say("one"), say("two")]

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt  # what a process that ends sees; nothing of ours catches it

    with monkeypatch.context() as patch:
        patch.setattr(feeds, "advance", dies)
        with pytest.raises(KeyboardInterrupt):
            collect(feed)
    assert recorded() == []
    assert row(feed).cursor == ""
    change(feed, held_until=0)
    assert collect(feed) == "SUCCESS"
    assert [one.text for one in recorded()] == ["one", "two"]


def test_what_comes_a_second_time_is_known(puller: Puller, feed: int, started: list[tuple[int, Stage]]) -> None:
    puller.items = [say("one"), say("two", conversation="c2")]
    collect(feed)
    change(feed, cursor="")
    ring()
    collect(feed)
    assert len(recorded()) == 2
    assert len(started) == 2


def test_a_puller_that_lost_its_feed_records_nothing(puller: Puller, feed: int) -> None:
    puller.items = [say("one"), say("two"), say("three")]
    puller.before_pull = [lambda: change(feed, holder="4711/somebody-else", held_until=now_ms() + 30_000)]
    assert collect(feed) == "IGNORED"
    assert recorded() == []
    assert row(feed).holder == "4711/somebody-else"


def test_two_pullers_of_one_cursor_cannot_both_move_it(puller: Puller, feed: int) -> None:
    with one_statement() as connection:
        held = feeds.take(connection, feed, 1)
        assert held is not None
        assert feeds.take(connection, feed, 2) is None
        feeds.advance(connection, held, "9")
        with pytest.raises(LostFeed):
            feeds.advance(connection, held, "7")


def test_a_feed_whose_worker_died_is_read_again_by_the_next_sweep(
    puller: Puller, feed: int, rung: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = presence.get_presence().worker_id
    with one_statement() as connection:
        dead = workers.register(connection, "dead", ["collect"])
        assert feeds.take(connection, feed, dead) is not None
        connection.execute(update(WorkerRow).where(WorkerRow.id == mine).values(queues=["collect"]))
    monkeypatch.setattr(presence.get_presence(), "steady", lambda: True)
    change(feed, rung_at=0)
    rung.clear()
    sweep._read_due_feeds()
    assert rung == [], "its worker may be alive"
    with one_statement() as connection:
        workers.leave(connection, dead)
    sweep._read_due_feeds()
    assert rung == [feed]
    puller.items = [say()]
    assert collect(feed) == "SUCCESS"


def test_a_lost_bell_is_found_by_the_net(puller: Puller, feed: int, rung: list[int], configure: Configure) -> None:
    collect(feed)
    with one_statement() as connection:
        assert feeds.due(connection, poll_ms=180_000) == []
        change_at = now_ms() - 180_001
        connection.execute(update(FeedRow).where(FeedRow.id == feed).values(pulled_at=change_at))
        assert feeds.due(connection, poll_ms=180_000) == [feed]


def test_a_configured_feed_is_read_without_any_bell(
    puller: Puller, rung: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "enabled", lambda _: [("puller", "default")])
    worker = presence.get_presence().worker_id
    with one_statement() as connection:
        connection.execute(update(WorkerRow).where(WorkerRow.id == worker).values(queues=["collect"]))
    sweep._know_configured_feeds.cache_clear()
    sweep._read_due_feeds()
    sweep._know_configured_feeds.cache_clear()
    assert len(rung) == 1
    assert row(rung[0]).feed == "configured"


def test_nobody_is_sent_for_a_feed_while_no_worker_would_come(puller: Puller, feed: int, rung: list[int]) -> None:
    change(feed, rung_at=0)
    rung.clear()
    sweep._read_due_feeds()
    assert rung == []


@pytest.mark.parametrize(
    ("trouble", "at_least_ms"),
    [(Unavailable("away", kind="server"), 0), (Throttled("slowly", retry_after_s=60), 59_000)],
)
def test_an_error_is_written_down_and_tried_again_by_whoever_sweeps(
    puller: Puller, feed: int, trouble: Exception, at_least_ms: int
) -> None:
    puller.items = [say()]
    puller.before_pull = [trouble]
    before = now_ms()
    assert collect(feed) == "RETRY"
    kept = row(feed)
    assert kept.holder is None
    assert kept.failures == 1
    assert kept.not_before > before + at_least_ms
    assert kept.last_error == str(trouble)
    change(feed, not_before=0)
    assert collect(feed) == "SUCCESS"
    assert row(feed).failures == 0
    assert len(recorded()) == 1


def test_a_refusal_is_not_repeated_at_once(puller: Puller, feed: int) -> None:
    puller.before_pull = [Rejected("no", kind="auth")]
    assert collect(feed) == "IGNORED"
    assert row(feed).not_before > now_ms() + 250_000
    ring()
    assert collect(feed) == "IGNORED"
    assert len(puller.pulled) == 1


def test_a_bot_that_is_not_here_is_not_asked_for_at_every_sweep(puller: Puller, rung: list[int]) -> None:
    intake.news("puller", "gone", News(bells=[Bell("wk9")]))
    assert collect(rung[-1]) == "IGNORED"
    assert row(rung[-1]).not_before > now_ms() + 250_000


def test_a_worker_that_stops_gives_the_feed_back(puller: Puller, feed: int) -> None:
    puller.before_pull = [Draining("stops")]
    collect(feed)
    kept = row(feed)
    assert (kept.holder, kept.failures) == (None, 0)
    assert collect(feed) == "SUCCESS"


def test_the_first_reading_answers_nobody_who_wrote_long_ago(
    puller: Puller, feed: int, started: list[tuple[int, Stage]]
) -> None:
    puller.items = [say("old", age_s=700), say("older", age_s=7000), say("new", age_s=30, conversation="c2")]
    collect(feed)
    assert [one.state for one in recorded()] == ["ignored", "ignored", "received"]
    assert recorded()[0].note == intake.TOO_OLD
    puller.items.append(say("we were away", age_s=700, conversation="c3"))
    ring()
    collect(feed)
    assert recorded()[-1].state == "received", "after an outage everybody is answered"
    assert len(started) == 2


def test_the_bot_is_silent_from_when_a_person_takes_over_until_the_end_of_that(puller: Puller, feed: int) -> None:
    taken = Occurrence("e1", "session", conversation_id="c1", with_human=True)
    ended = Occurrence("e2", "session", conversation_id="c1", with_human=False)
    puller.items = [say("before"), taken, say("to the person"), say("another", conversation="c2"), ended, say("after")]
    collect(feed)
    assert [one.state for one in recorded()] == ["received", "ignored", "received", "received"]
    assert recorded()[1].note == intake.WITH_PERSON
    assert puller.reacted == ["e1", "e2"]
    puller.items += [Occurrence("e3", "session", conversation_id="c1", with_human=True)]
    ring()
    collect(feed)
    puller.items += [say("still to the person")]
    ring()
    collect(feed)
    assert recorded()[-1].state == "ignored"


def test_a_person_of_whom_nothing_was_heard_for_two_days_has_gone(puller: Puller, feed: int) -> None:
    with one_statement() as connection:
        occurrences.set_with_human(connection, "puller", "default", "c1", True)
        assert occurrences.with_humans(connection, "puller", "default", ["c1"]) == {"c1"}
        connection.execute(update(ConversationRow).values(with_human_since=now_ms() - occurrences.PERSON_HOLDS_MS))
        assert occurrences.with_humans(connection, "puller", "default", ["c1"]) == set()


def test_the_bot_is_back_when_the_person_has_gone_without_a_word(puller: Puller, feed: int) -> None:
    with one_statement() as connection:
        occurrences.set_with_human(connection, "puller", "default", "c1", True)
    puller.items = [say("to the person"), say("in the same page")]
    collect(feed)
    puller.unknown, puller.gone = True, ["c1"]
    puller.items.append(say("while nobody can tell"))
    ring()
    collect(feed)
    puller.unknown = False
    puller.items.append(say("to the bot again"))
    ring()
    collect(feed)
    assert [one.state for one in recorded()] == ["ignored", "ignored", "ignored", "received"]


def test_an_occurrence_is_recorded_and_reacted_to_once(puller: Puller, feed: int) -> None:
    puller.items = [Occurrence("e1", "entered", "c1", {"code": "x"}, 1_700_000_000_000)]
    collect(feed)
    change(feed, cursor="")
    ring()
    collect(feed)
    with reading() as connection:
        (kept,) = connection.execute(select(OccurrenceRow.__table__))
    assert (kept.kind, kept.conversation_ref, kept.data) == ("entered", "c1", {"code": "x"})
    assert puller.reacted == ["e1"]


def test_a_reaction_that_does_not_work_keeps_no_message_waiting(
    puller: Puller, feed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(puller, "react", fails)
    puller.items = [Occurrence("e1", "entered"), say()]
    assert collect(feed) == "SUCCESS"
    assert len(recorded()) == 1


def test_a_bell_is_committed_although_the_broker_is_down(puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")
    feed = ring()
    assert row(feed).rung == 1
    assert ring() == feed
    assert row(feed).rung == 2


def test_who_asks_for_a_person_gets_one_and_the_bot_is_silent_then(
    puller: Puller, feed: int, started: list[tuple[int, Stage]]
) -> None:
    ledger = Ledger(puller)
    puller.items = [say("human please"), say("are you there?")]
    collect(feed)
    first, second = (one.id for one in recorded())
    ledger.run(first, Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY)
    assert ledger.state(first) == "replied"
    assert puller.people == ["c1"]
    assert puller.shown == ["I am passing you on to a colleague. One moment, please."]
    with reading() as connection:
        assert occurrences.with_humans(connection, "puller", "default", ["c1"]) == {"c1"}
    # what was recorded before is noticed at the send
    ledger.run(second, Stage.CLASSIFY, Stage.GENERATE)
    puller.script = [Rejected("a person has it", kind="with_person")]
    ledger.run(second, Stage.REPLY)
    assert ledger.state(second) == "ignored"
    puller.items.append(say("hello?"))
    ring()
    collect(feed)
    assert recorded()[-1].note == intake.WITH_PERSON


def test_old_occurrences_are_purged(puller: Puller, feed: int) -> None:
    puller.items = [Occurrence("e1", "entered"), Occurrence("e2", "entered")]
    collect(feed)
    with one_statement() as connection:
        connection.execute(update(OccurrenceRow).where(OccurrenceRow.external_id == "e1").values(recorded_at=0))
    app.tasks["mindbot.purge"].apply()
    with reading() as connection:
        assert list(connection.execute(select(OccurrenceRow.external_id)).scalars()) == ["e2"]
