"""Customer service from the bell to the answer, with workers that die while they fetch."""

from __future__ import annotations

import signal
import time

import pytest
from sqlalchemy import select

from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.tables import FeedRow, MessageRow, WorkerRow
from tests.flows.conftest import Told
from tests.flows.scene import Scene, steps, until
from tests.flows.stack import CANARY_TEXT
from tests.flows.stories import POSTGRESQL, TOLD_WITHIN_S, Case, cases, story
from tests.slack import at_most

pytestmark = pytest.mark.timeout(TOLD_WITHIN_S + 60)

SEND = "/cgi-bin/kf/send_msg"
SYNC = "/cgi-bin/kf/sync_msg"


def _states(scene: Scene) -> list[str]:
    with reading(scene.stack.engine) as connection:
        rows = connection.execute(
            select(MessageRow.state).where(MessageRow.conversation_ref.like(f"{scene.account}:%"))
        )
        return list(rows.scalars())


@story()
def a_bell_is_answered_and_the_next_customer_gets_a_welcome(scene: Scene) -> None:
    people = scene.customers
    one, two = f"wm1{scene.mark}", f"wm2{scene.mark}"
    people.enters(scene.account, two)
    people.says(scene.account, one, f"hello {scene.mark} {CANARY_TEXT}", bell="twice")
    until(lambda: people.shown(one), "answer")
    until(lambda: people.shown(two), "welcome")
    assert len(people.shown(one)) == 1
    session = people.control.call("POST", "/kf/session", {"open_kfid": scene.account, "external_userid": one})
    assert session["state"] == 1
    people.says(scene.account, one, f"转人工 {scene.mark}")
    until(lambda: len(people.shown(one)) == 2, "announcement of the hand-over")
    people.says(scene.account, one, f"are you a person? {scene.mark}")
    until(lambda: _states(scene).count("ignored") == 1, "silence of the bot")
    people.agent(scene.account, one, "take")
    people.agent(scene.account, one, "end")
    people.says(scene.account, one, f"and now again you {scene.mark}")
    until(lambda: len(people.shown(one)) == 3, "answer after the person has gone")


@story(phase=2, databases=(POSTGRESQL,))
def a_worker_killed_in_mid_fetch_loses_and_doubles_nothing(scene: Scene) -> None:
    people = scene.customers
    customers = [f"wm{n}{scene.mark}" for n in range(6)]
    for customer in customers:
        people.says(scene.account, customer, f"first {scene.mark}", bell="lost")
    people.control.fault("delay", SYNC, contains=scene.account, skip=1, times=1, delay_ms=6000)
    assert people.ring(scene.account) == 200

    def holder() -> str | None:
        with reading(scene.stack.engine) as connection:
            kept = connection.execute(select(FeedRow).where(FeedRow.feed == scene.account)).first()
            found = connection.execute(
                select(FeedRow.holder, FeedRow.cursor).where(FeedRow.feed == scene.account)
            ).first()
            if kept is None or found is None or not found.holder or not found.cursor:
                return None
            worker = int(found.holder.partition("/")[0])
            return connection.execute(select(WorkerRow.name).where(WorkerRow.id == worker)).scalar()

    worker = until(holder, "worker that has read the first page")
    scene.stack.send_signal(scene.stack.role_of(worker), signal.SIGKILL)
    until(lambda: len(_states(scene)) == len(customers), "all messages", within_s=at_most(17))
    for customer in customers:
        until(lambda customer=customer: people.shown(customer), f"answer to {customer}")  # type: ignore[misc]
    time.sleep(1)
    assert [len(people.shown(customer)) for customer in customers] == [1] * len(customers)


@story(phase=5, databases=(POSTGRESQL,))
def a_customer_is_answered_once_although_the_worker_died_after_the_send(scene: Scene) -> None:
    people, customer = scene.customers, f"wm{scene.mark}"
    scene.wecom.fault("delay", SEND, contains=customer, delay_ms=20_000)
    people.says(scene.account, customer, f"hello {scene.mark}")
    until(lambda: people.shown(customer), "message at WeChat")
    scene.conversation = f"{scene.account}:{customer}"
    (told,) = scene.messages()
    scene.stack.send_signal(scene.stack.role_of(told.events[-1].worker), signal.SIGKILL)
    (told,) = scene.ended()
    assert told.message["state"] == "replied"
    assert "worker lost" in steps(told)
    assert len(people.shown(customer)) == 1
    assert [call for call in scene.wecom.calls(path=SEND, errcode=95033) if call["user"] == customer]


@pytest.mark.parametrize("case", cases(__name__))
def test_story(case: Case, told: Told) -> None:
    told.results[case].result(timeout=TOLD_WITHIN_S)
