"""The sweeper, the canary, the purge and the presence of workers, each alone and beside others."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from sqlalchemy import func, insert, select, update

from mindbot_tasks import chains, presence
from mindbot_tasks.canary import canary
from mindbot_tasks.core import processes
from mindbot_tasks.core.errors import DatabaseUnavailable, Draining
from mindbot_tasks.model.message import Stage
from mindbot_tasks.model.news import Feedback
from mindbot_tasks.presence import Presence
from mindbot_tasks.purge import DAY_MS, purge
from mindbot_tasks.stores import feedback, health, workers
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.stores.tables import (
    AnswerRow,
    ConversationRow,
    DutyRow,
    EventRow,
    FeedbackRow,
    MessageRow,
    SendRow,
    SessionRow,
    UserRow,
    WorkerRow,
)
from mindbot_tasks.stores.tables_context import FactRow
from mindbot_tasks.sweep import sweep
from tests.stages.conftest import Configure, Ledger, without_pulse

C, G, R, A = Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY, Stage.APOLOGISE


@pytest.fixture
def sweepers(monkeypatch: pytest.MonkeyPatch) -> None:
    """This worker has been heard of for long enough to judge others."""
    monkeypatch.setattr(Presence, "steady", lambda _self: True)


def _age(message_id: int, ledger: Ledger) -> None:
    ledger.change(message_id, wake_at=0, stepped_at=0)


@pytest.mark.usefixtures("sweepers")
def test_a_message_that_nobody_published_is_started(ledger: Ledger, started: list[tuple[int, Stage]]) -> None:
    one = ledger.receive()
    _age(one, ledger)
    assert sweep.run() == 1
    assert started == [(one, C), (one, C)]


@pytest.mark.usefixtures("sweepers")
def test_there_is_one_sweep_in_a_slot_whoever_calls(ledger: Ledger, started: list[tuple[int, Stage]]) -> None:
    ids = [ledger.receive(conversation=f"c{number}") for number in range(5)]
    for one in ids:
        _age(one, ledger)
    with ThreadPoolExecutor(4) as crowd:
        touched = [future.result() for future in [crowd.submit(sweep.run) for _ in range(4)]]
    assert sorted(touched) == [0, 0, 0, 5]
    assert sorted(started[5:]) == [(one, C) for one in ids]


def _seconds_later(message_id: int) -> int:
    """Twenty seconds have passed for this message; returns a moment after it was published, by the same clock."""
    with one_statement() as connection:
        connection.execute(update(MessageRow).where(MessageRow.id == message_id).values(
            wake_at=0, stepped_at=DB_NOW - 20_000))  # fmt: skip
        return workers.database_time(connection) - 5_000


@pytest.mark.usefixtures("sweepers")
@pytest.mark.parametrize("came_out", [False, True])
def test_a_message_is_started_again_only_when_a_later_canary_has_come_out_of_its_queue(
    ledger: Ledger, started: list[tuple[int, Stage]], came_out: bool
) -> None:
    one = ledger.receive()
    later = _seconds_later(one)
    canary.run("classify", later if came_out else later - 60_000)
    sweep.run()
    assert started == [(one, C)] * (2 if came_out else 1)


@pytest.mark.usefixtures("sweepers")
def test_the_work_of_a_silent_worker_is_freed(ledger: Ledger, started: list[tuple[int, Stage]]) -> None:
    one = ledger.receive()
    with one_statement() as connection:
        dead = workers.register(connection, "dead", ["classify"])
        connection.execute(update(WorkerRow).where(WorkerRow.id == dead).values(seen_at=0))
    ledger.change(one, lease_owner=dead, lease_until=2**52, attempt=1, strikes=1)
    sweep.run()
    assert started[1:] == [(one, C)]
    assert ledger.told(one).message["strikes"] == 1, "should it be what killed the worker"


def test_who_has_just_come_back_does_not_judge_others(ledger: Ledger) -> None:
    one = ledger.receive()
    with one_statement() as connection:
        silent = workers.register(connection, "silent", ["classify"])
        connection.execute(update(WorkerRow).where(WorkerRow.id == silent).values(seen_at=0))
    ledger.change(one, lease_owner=silent, lease_until=2**52, attempt=1)
    assert not presence.get_presence().steady()
    sweep.run()
    with reading() as connection:
        assert connection.execute(select(MessageRow.lease_owner).where(MessageRow.id == one)).scalar() == silent


@pytest.mark.usefixtures("sweepers")
def test_a_message_near_its_deadline_is_sent_to_the_apology(ledger: Ledger, started: list[tuple[int, Stage]]) -> None:
    one = ledger.receive()
    ledger.change(one, deadline_at=1_000, wake_at=0)
    sweep.run()
    assert started[1:] == [(one, A)]
    assert ledger.told(one).message["verdict"] == "late"


@pytest.mark.usefixtures("sweepers")
def test_a_third_dead_worker_is_enough(ledger: Ledger, started: list[tuple[int, Stage]]) -> None:
    one = ledger.receive()
    ledger.change(one, strikes=3, wake_at=0)
    sweep.run()
    assert started[1:] == [(one, A)]
    assert ledger.told(one).message["verdict"] == "poison"


def test_a_sweep_without_a_database_is_no_error(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> bool:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(workers, "take_duty", away)
    assert sweep.run() == 0


def test_a_canary_leaves_a_mark(ledger: Ledger) -> None:
    canary.run("reply", 1)
    with reading() as connection:
        assert health.snapshot(connection).canary_age_s["reply"] < 120


@pytest.mark.usefixtures("sweepers")
def test_canaries_fly_through_queues_that_somebody_serves_only(ledger: Ledger, redis_url: str) -> None:
    with one_statement() as connection:
        workers.register(connection, "here", ["generate"])
        gone = workers.register(connection, "gone", ["reply"])
        workers.leave(connection, gone)
    sweep.run()
    with redis.Redis.from_url(redis_url) as client:
        assert {queue: client.llen(f"mindbot:{queue}") for queue in ("generate", "reply")} == {
            "generate": 1,
            "reply": 0,
        }


def _finished_days_ago(ledger: Ledger, days: float, conversation: str) -> int:
    one = ledger.receive(conversation=conversation)
    ledger.run(one, C, G, R)
    with one_statement() as connection:
        connection.execute(
            update(MessageRow).where(MessageRow.id == one).values(finished_at=DB_NOW - int(days * DAY_MS))
        )
    return one


def test_the_purge_takes_what_is_past_its_retention_with_all_that_hangs_on_it(
    ledger: Ledger, configure: Configure
) -> None:
    configure(retention_days=30)
    old, young = _finished_days_ago(ledger, 31, "c1"), _finished_days_ago(ledger, 29, "c2")
    waiting = ledger.receive(conversation="c3")
    with transaction() as connection:
        for number in (old, young):
            feedback.record(connection, "stooge", "default", Feedback(f"card-{number}", "u1", "up", number))
        feedback.record(connection, "stooge", "default", Feedback("card-of-nobody", "u1", "up"))
        connection.execute(update(FeedbackRow).where(FeedbackRow.message_id.is_(None)).values(voted_at=0))
        sessions = [("fresh", DB_NOW), ("stale", DB_NOW - 31 * DAY_MS)]
        for answerer, at in sessions:
            row = {"conversation_id": 1, "answerer": answerer, "user_ref": "u1", "session_id": "s", "updated_at": at}
            connection.execute(insert(SessionRow).values(row))
    assert purge.run() == 1
    with reading() as connection:
        assert set(connection.execute(select(MessageRow.id)).scalars()) == {young, waiting}
        for table in (EventRow, SendRow, AnswerRow):
            hanging = connection.execute(select(func.count()).where(table.message_id == old)).scalar()
            assert hanging == 0, table.__tablename__
        assert connection.execute(select(FeedbackRow.message_id)).scalars().all() == [young]
        assert "stale" not in set(connection.execute(select(SessionRow.answerer)).scalars())
        assert "fresh" in set(connection.execute(select(SessionRow.answerer)).scalars())


def test_conversations_and_people_go_when_nothing_is_left_of_them(ledger: Ledger, configure: Configure) -> None:
    configure(retention_days=30)
    for name in ("gone", "stays", "chosen", "dify", "new", "person"):
        _finished_days_ago(ledger, 29 if name == "stays" else 31, name)
    with transaction() as connection:
        age = {"created_at": DB_NOW - 40 * DAY_MS}
        connection.execute(update(ConversationRow).where(ConversationRow.external_id != "new").values(age))
        there = ConversationRow.external_id
        connection.execute(update(ConversationRow).where(there == "chosen").values(model="m"))
        connection.execute(update(ConversationRow).where(there == "person").values(with_human_since=DB_NOW))
        dify = connection.execute(select(ConversationRow.id).where(there == "dify")).scalar_one()
        row = {"conversation_id": dify, "answerer": "a", "user_ref": "u1", "session_id": "s", "updated_at": DB_NOW}
        connection.execute(insert(SessionRow).values(row))
        people = [("gone", 40), ("remembered", 40), ("back", 31)]
        for name, days in people:
            seen = {"created_at": 0, "seen_at": DB_NOW - days * DAY_MS}
            connection.execute(insert(UserRow).values(platform="stooge", external_id=name, name="Ann", **seen))
        fact = {"platform": "stooge", "bot": "default", "user_ref": "remembered", "text": "likes tea", "private": 1}
        connection.execute(insert(FactRow).values(conversation_id=1, message_id=1, created_at=DB_NOW, **fact))
    assert purge.run() == 5
    with reading() as connection:
        left = set(connection.execute(select(ConversationRow.external_id)).scalars())
        assert left == {"stays", "chosen", "dify", "new", "person"}
        known = set(connection.execute(select(UserRow.external_id).where(UserRow.name == "Ann")).scalars())
        assert known == {"remembered", "back"}, "of one that a process still believes to know nobody knows better"
    again = ledger.receive(conversation="gone")
    assert again, "a process that still believes in the conversation makes it anew"


def test_the_purge_never_forgets_what_may_still_come_twice(ledger: Ledger, configure: Configure) -> None:
    configure(retention_days=1)
    _finished_days_ago(ledger, 6.5, "c1")
    assert purge.run() == 0


def test_the_purge_is_done_once_whoever_calls(ledger: Ledger, configure: Configure) -> None:
    configure(retention_days=30)
    _finished_days_ago(ledger, 31, "c1")
    assert [purge.run(), purge.run()] == [1, 0]


def test_a_worker_that_was_taken_for_dead_registers_anew(ledger: Ledger) -> None:
    here = without_pulse(presence.get_presence())
    first = here.worker_id
    with one_statement() as connection:
        connection.execute(update(WorkerRow).where(WorkerRow.id == first).values(gone_at=1))
    here._beat()
    assert here.worker_id != first


def test_a_worker_that_leaves_frees_what_it_holds(ledger: Ledger) -> None:
    one = ledger.receive()
    here = presence.get_presence()
    ledger.change(one, lease_owner=here.worker_id, lease_until=2**52, attempt=1)
    assert presence.stop() == [one]
    assert ledger.told(one).events[-1].step == "worker left"


def test_a_worker_that_was_frozen_must_not_go_on_with_its_work(ledger: Ledger) -> None:
    here = without_pulse(presence.get_presence())
    here.worker_id  # noqa: B018 - registers
    here.check()
    here._heard_at -= 8
    with pytest.raises(Draining):
        here.check()
    here._beat()
    here.check()


def test_a_worker_sweeps_when_beat_is_missing(ledger: Ledger) -> None:
    swept = threading.Event()
    here = without_pulse(Presence("alone", ["reply"], swept.set, on_death=threading.Event().set))
    try:
        here._beat()
        assert swept.wait(60), "nobody has ever swept"
        swept.clear()
        with one_statement() as connection:
            workers.take_duty(connection, "sweep", every_ms=0, now=workers.database_time(connection) + 3_600_000)
        here._beat()
        assert not swept.wait(0.3), "somebody has just swept"
    finally:
        here.leave()


def test_what_could_not_be_written_is_written_later_and_once(ledger: Ledger) -> None:
    tried: list[int] = []

    def change() -> None:
        tried.append(1)
        if len(tried) == 1:
            raise DatabaseUnavailable("away")

    here = without_pulse(presence.get_presence())
    here.later(change)
    with pytest.raises(DatabaseUnavailable):
        here._beat()
    here._beat()
    here._beat()
    assert len(tried) == 2


@pytest.mark.parametrize(
    ("start", "names"),
    [
        (C, ["mindbot.classify", "mindbot.generate", "mindbot.reply"]),
        (G, ["mindbot.generate", "mindbot.reply"]),
        (R, ["mindbot.reply"]),
        (A, ["mindbot.apologise"]),
    ],
)
def test_a_chain_is_what_is_left_of_the_way(start: Stage, names: list[str]) -> None:
    signature: Any = chains.answer(7, start)
    links = list(signature.tasks) if len(names) > 1 else [signature]
    assert [link.task for link in links] == names
    assert all(link.args == (7,) and link.immutable for link in links)


def test_the_overdue_sweep_does_not_keep_a_worker_from_its_pulse(ledger: Ledger) -> None:
    release, swept = threading.Event(), threading.Event()

    def sweep_for_long() -> None:
        assert release.wait(60)
        swept.set()

    here = without_pulse(Presence("busy", ["reply"], sweep_for_long, on_death=threading.Event().set))
    try:
        here._beat()
        here._beat()
        assert not swept.is_set()
    finally:
        release.set()
        here.leave()


def test_work_of_a_neighbour_that_was_killed_is_freed_before_it_is_missed(ledger: Ledger) -> None:
    neighbour = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from mindbot_tasks.core import processes; print(processes.identity(), flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert neighbour.stdout is not None
    one = ledger.receive()
    with one_statement() as connection:
        theirs = workers.register(connection, "killed", ["generate"], process=neighbour.stdout.readline().strip())
    ledger.change(one, lease_owner=theirs, lease_until=2**52, attempt=1)
    swept = threading.Event()
    here = Presence("survivor", ["reply"], on_sweep_overdue=threading.Event().set, on_death=swept.set)
    try:
        here.show_up()
        assert not swept.wait(0.1)
        neighbour.kill()
        neighbour.communicate()
        assert swept.wait(60)
        assert ledger.told(one).events[-1].step == "worker lost"
    finally:
        here.leave()


def test_a_worker_that_comes_back_finds_its_predecessor_gone(ledger: Ledger) -> None:
    """Nobody else was there to see it end."""
    one = ledger.receive()
    gone = f"{processes.identity().rpartition('/')[0]}/1"
    with one_statement() as connection:
        theirs = workers.register(connection, "predecessor", ["generate"], process=gone)
    ledger.change(one, lease_owner=theirs, lease_until=2**52, attempt=1)
    here = Presence("successor", ["reply"], on_sweep_overdue=threading.Event().set, on_death=threading.Event().set)
    try:
        here.show_up()
        assert ledger.told(one).events[-1].step == "worker lost"
    finally:
        here.leave()


def test_a_sweep_after_a_death_does_not_wait_for_its_slot(ledger: Ledger, started: list[tuple[int, Stage]]) -> None:
    assert sweep.run() == 0
    with one_statement() as connection:  # this slot lasts for as long as the test may take
        connection.execute(update(DutyRow).values(ran_at=DutyRow.ran_at + 3_600_000))
    one = ledger.receive()
    started.clear()
    ledger.change(one, step="worker lost", wake_at=0)
    assert [sweep.run(), sweep.run(at_once=True)] == [0, 1]
    assert started == [(one, C)]
