"""The tally: every message counts once, whoever counts, whatever is killed; on both databases."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from sqlalchemy import insert, update

from mindbot_tasks import standing
from mindbot_tasks import tally as stage
from mindbot_tasks.chat.figures import figures
from mindbot_tasks.chat.tallying import alike
from mindbot_tasks.core.settings import IntegrationSettings, Settings, WorkflowSettings
from mindbot_tasks.stores import tallies
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.stores.tables import AnswerRow, FeedbackRow, MessageRow
from mindbot_tasks.stores.tallies import Tally
from tests.stages.conftest import Configure, Ledger

_numbers = itertools.count()
FLOW = WorkflowSettings.model_validate({"dify_api_key": "k"})
AB = FLOW.model_copy(update={"variants": WorkflowSettings.model_validate({"variants": {"a": {}, "b": {}}}).variants})
OK = {"outcome": "ok", "ms": 1000}


@pytest.fixture
def flows(configure: Configure) -> Settings:
    return configure(workflows={"code_analysis": FLOW, "data": FLOW, "general_chat": FLOW})


def ended(ledger: Ledger, label: str, tries: list[dict[str, Any]], *, age_s: int = 60, **other: Any) -> int:
    """A message that was answered, or, without tries, given up."""
    message_id = ledger.receive(
        other.pop("text", "what is 6*7?"), conversation=other.pop("conversation", f"alone{next(_numbers)}")
    )
    at = DB_NOW - age_s * 1000
    last = str(tries[-1]["answerer"]) if tries else ""
    values: dict[str, Any] = {"label": label, "received_at": at, "classified_at": at, "finished_at": at}
    values |= {"state": "replied", "answered_at": at} if tries else {"state": "apologised", "verdict": "failed"}
    with one_statement() as connection:
        connection.execute(update(MessageRow).where(MessageRow.id == message_id).values(**values))
        if tries:
            connection.execute(insert(AnswerRow).values(
                message_id=message_id, text="", parts=[], provider=last.partition(":")[2], model="",
                workflow=last.removeprefix("workflow:") if last.startswith("workflow:") else "",
                input_tokens=0, output_tokens=0, latency_ms=0, details={"tries": tries, **other}, created_at=at,
            ))  # fmt: skip
    return message_id


def by(answerer: str, **more: Any) -> dict[str, Any]:
    return {"answerer": answerer, **(more or OK)}


def counted() -> dict[tuple[str, str], Tally]:
    with reading() as connection:
        return tallies.of_days(connection, 3)


def run_again() -> int:
    """As in the next slot."""
    from mindbot_tasks.stores.tables import DutyRow

    with one_statement() as connection:
        connection.execute(update(DutyRow).values(ran_at=0))
    found: int = stage.tally.run()
    return found


def test_tries_failures_and_recoveries_are_counted_once(flows: Settings, ledger: Ledger) -> None:
    ended(ledger, "code_analysis", [by("workflow:code_analysis")])
    timeout = by("workflow:code_analysis", outcome="Unavailable", kind="timeout", ms=9000)
    ended(ledger, "code_analysis", [timeout, by("provider:openai")])
    ended(ledger, "code_analysis", [by("workflow:code_analysis", skipped="breaker"), by("provider:openai")])
    ended(ledger, "code_analysis", [])
    ended(ledger, "/help", [by("workflow:general_chat")])
    assert stage.tally.run() == 5
    assert stage.tally.run() == 0, "not its slot"
    assert run_again() == 0, "nothing new"
    flow = counted()["workflow:code_analysis", ""]
    assert (flow.asked, flow.answered, flow.skipped, flow.recovered, flow.unanswered) == (2, 1, 1, 2, 1)
    assert (flow.errors, flow.took_ms) == ({"timeout": 1}, 1000)
    assert counted()["provider:openai", ""].answered == 2
    assert ("workflow:general_chat", "") not in counted()
    seen = figures("workflow:code_analysis", "", flow)
    assert (seen.calls, seen.success, seen.recovery) == (3, 1 / 3, 2 / 3)


def test_what_is_on_its_way_is_counted_when_it_has_ended(flows: Settings, ledger: Ledger) -> None:
    ended(ledger, "data", [by("workflow:data")])
    waiting = ledger.receive("still here", conversation="w")
    ledger.change(waiting, received_at=DB_NOW - 60_000)
    ended(ledger, "data", [by("workflow:data")])
    young = ended(ledger, "data", [by("workflow:data")], age_s=-3600)
    assert stage.tally.run() == 1
    ledger.change(waiting, finished_at=DB_NOW, state="ignored")
    assert run_again() == 2
    assert counted()["workflow:data", ""].answered == 2
    ledger.change(young, received_at=DB_NOW - 60_000)
    assert run_again() == 1


def test_many_at_once_count_each_message_once(flows: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_BATCH", 3)
    for number in range(10):
        ended(ledger, "data", [by("workflow:data")], conversation=f"c{number}")
    wanted = IntegrationSettings()
    threads = [threading.Thread(target=stage._count, args=(flows, wanted)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    while stage._count(flows, wanted):
        pass
    assert counted()["workflow:data", ""].answered == 10


class Killed(BaseException):
    pass


def test_a_kill_in_the_middle_counts_nothing_twice(flows: Settings, ledger: Ledger) -> None:
    ended(ledger, "data", [by("workflow:data")])
    with reading() as connection:
        rows = tallies.ended_after(connection, 0, limit=10)
    batch = stage.tallying.count(rows, lambda _label, _person: ("", ""))
    with pytest.raises(Killed), transaction() as connection:  # noqa: PT012
        assert tallies.add(connection, batch, since=0, up_to=rows[-1].id)
        raise Killed
    assert counted() == {}
    assert stage.tally.run() == 1
    with transaction() as connection:
        assert not tallies.add(connection, batch, since=0, up_to=rows[-1].id), "somebody else was quicker"
    assert counted()["workflow:data", ""].answered == 1


def vote(message_id: int, user: str, thumb: str) -> None:
    with transaction() as connection:
        connection.execute(
            insert(FeedbackRow).values(message_id=message_id, platform="stooge", bot="default",
                                       answer_ref=f"a{message_id}", user_ref=user, vote=thumb, voted_at=DB_NOW)
        )  # fmt: skip


def test_the_last_vote_of_each_person_counts_however_often_votes_are_counted(flows: Settings, ledger: Ledger) -> None:
    one = ended(ledger, "data", [by("workflow:data")])
    vote(one, "u1", "up")
    vote(one, "u2", "up")
    stage.tally.run()
    assert counted()["workflow:data", ""].up == 2
    with transaction() as connection:
        connection.execute(update(FeedbackRow).where(FeedbackRow.user_ref == "u2").values(vote="down"))
    run_again()
    run_again()
    assert (counted()["workflow:data", ""].up, counted()["workflow:data", ""].down) == (1, 1)


def test_variants_are_counted_by_themselves(configure: Configure, ledger: Ledger) -> None:
    given = configure(workflows={"code_analysis": AB})
    mine = {"variant": "code_analysis/b", "answerer": "workflow:code_analysis"}
    one = ended(ledger, "code_analysis", [by("workflow:code_analysis")], experiment=mine)
    ended(ledger, "code_analysis", [])
    vote(one, "u1", "up")
    stage.tally.run()
    sums = standing.of_variants("code_analysis", 2)
    assert (sums["b"].answered, sums["b"].up) == (1, 1)
    assert sum(each.unanswered for each in sums.values()) == 1
    [flow] = [each.figures for each in standing.of_answerers(given, 2)]
    assert (flow.answered, flow.calls, flow.up) == (1, 2, 1)


def test_asking_again_and_going_on_are_told_apart(flows: Settings, ledger: Ledger) -> None:
    talk = [("code_analysis", "why does this loop never end?"), ("code_analysis", "Why does this loop never end"),
            ("data", "now a chart of the run times"), ("general_chat", "thanks")]  # fmt: skip
    for number, (label, text) in enumerate(talk):
        ended(ledger, label, [by(f"workflow:{label}")], text=text, conversation="talk", age_s=100 - number)
    stage.tally.run()
    assert counted()["workflow:code_analysis", ""].reasked == 1
    with reading() as connection:
        assert tallies.steps(connection, 2, "code_analysis") == [("stooge", "default", "data", 1)]
        assert tallies.steps(connection, 2, "data") == [("stooge", "default", "general_chat", 1)]
        assert tallies.last_label(connection, "", "", "talk") == ("stooge", "default", "general_chat")
        assert tallies.last_label(connection, "stooge", "other", "talk") is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("How do I reset my password?", "how do i reset my pasword", True),
        ("怎么重置我的密码?", "怎么 重置 我的密码", True),
        ("怎么重置我的密码", "今天天气怎么样", False),
        ("what is 2+2", "what is 3+2", False),
        ("", "", False),
        ("?", "!", False),
        ("a", "a", True),
        ("a", "b", False),
    ],
)
def test_which_texts_ask_the_same(one: str, other: str, same: bool) -> None:
    assert alike(one, other) is same


@pytest.mark.parametrize(
    ("off", "tallied", "stepped"), [("performance_tracking", False, True), ("analytics_enabled", True, False)]
)
def test_what_is_switched_off_is_not_counted(
    configure: Configure, ledger: Ledger, off: str, tallied: bool, stepped: bool
) -> None:
    configure(workflows={"data": FLOW}, agent={"integration": {off: False}})
    ended(ledger, "code", [by("workflow:code")], conversation="talk", text="one", age_s=70)
    ended(ledger, "data", [by("workflow:data")], conversation="talk", text="two")
    stage.tally.run()
    with reading() as connection:
        assert bool(tallies.of_days(connection, 2)) is tallied
        assert bool(tallies.steps(connection, 2, "code")) is stepped


def test_without_workflows_nothing_is_counted(configure: Configure, ledger: Ledger) -> None:
    ended(ledger, "data", [by("provider:openai")])
    assert stage.tally.run() == 0


def test_old_sums_are_forgotten(flows: Settings, ledger: Ledger) -> None:
    ended(ledger, "data", [by("workflow:data")])
    ended(ledger, "data", [by("workflow:data")], age_s=3 * 86400)
    stage.tally.run()
    with transaction() as connection:
        assert tallies.of_days(connection, 9)["workflow:data", ""].answered == 2
        tallies.forget(connection, older_than_days=2)
        assert tallies.of_days(connection, 9)["workflow:data", ""].answered == 1


def test_what_often_comes_next_is_offered_under_answers(configure: Configure, ledger: Ledger) -> None:
    given = configure(workflows={"code": FLOW, "data": FLOW.model_copy(update={"suggestion": "A chart?"})})
    for number in range(5):
        ended(ledger, "code", [by("workflow:code")], conversation=f"t{number}", text="one", age_s=70)
        ended(ledger, "data", [by("workflow:data")], conversation=f"t{number}", text="two")
    stage.tally.run()
    standing.forget()
    assert standing.offered(given, "stooge", "default", "code") == "A chart?"
    assert standing.offered(given, "stooge", "default", "data") == "", "it is there already"
    assert standing.offered(configure(workflows={"code": FLOW}), "stooge", "default", "code") == ""
    standing.forget()
