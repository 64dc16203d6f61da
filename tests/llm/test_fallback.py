"""The next way answers when one cannot, in time; and what is raised when none can."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from emulators.running import Emulator
from mindbot_tasks.alerting.remedies import OFF_S
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Cancelled, DeadlineExceeded, Draining, Rejected, Throttled, Unavailable
from mindbot_tasks.core.http import Patience
from mindbot_tasks.llm import fallback
from mindbot_tasks.llm.base import OnText, Question, Spoken
from mindbot_tasks.llm.dify.app import DifyApp
from mindbot_tasks.llm.fallback import Way, answer
from mindbot_tasks.llm.openai_chat import ChatModel
from mindbot_tasks.model.answer import Answer, Usage
from mindbot_tasks.stores import breaker, limiter, spending
from mindbot_tasks.stores.leave import NO_LIMITS, Bucket, Limits
from mindbot_tasks.stores.limiter import Rate
from mindbot_tasks.stores.spending import Whose
from tests.llm.asking import nobody, question
from tests.slack import at_most


class Scripted:
    """Does one thing after the other: raises it, waits so many seconds, or says it."""

    def __init__(self, name: str, *script: Exception | float | str) -> None:
        self.name = name
        self.script = list(script)
        self.asked: list[Question] = []

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        self.asked.append(question)
        act = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(act, Exception):
            raise act
        if isinstance(act, float):
            until = time.monotonic() + act
            while time.monotonic() < until:
                deadline.check()
                time.sleep(0.01)
            act = "late"
        on_text(act)
        return Spoken(Answer(act, provider=self.name), session_id=f"session of {self.name}")


def way(answerer: Scripted, timeout_s: float = 30, limits: Limits = NO_LIMITS) -> Way:
    return Way(answerer, timeout_s, limits)


def ask(*ways: Way, deadline: Deadline | None = None, sessions: dict[str, str] | None = None) -> Any:
    return answer(ways, question(message_id=next(_ids)), sessions or {}, deadline or Deadline(30), nobody)


_ids = itertools.count(1)
#: limits and breakers count by a clock that stands still
pytestmark = pytest.mark.usefixtures("clock")


def test_the_first_that_can_answers_with_its_own_session() -> None:
    first, second = Scripted("a", Unavailable("down", kind="server", status=503)), Scripted("b", "hello")
    told = ask(way(first), way(second), sessions={"a": "1", "b": "2"})
    assert (told.answer.text, told.answerer, told.session_id) == ("hello", "b", "session of b")
    assert [first.asked[0].session_id, second.asked[0].session_id] == ["1", "2"]
    tries = told.answer.details["tries"]
    assert [(one["answerer"], one["outcome"]) for one in tries] == [("a", "Unavailable"), ("b", "ok")]
    assert tries[0]["status"] == 503


@pytest.mark.parametrize(("kind", "status", "calls"), [("quota", 429, 1), ("auth", 401, 1), ("auth", 403, 3)])
def test_who_has_no_money_or_a_wrong_key_is_spared_while_others_answer(kind: Any, status: int, calls: int) -> None:
    refused = Scripted("a", Rejected("no", kind=kind, status=status))
    assert [ask(way(refused), way(Scripted("b", "hello"))).answerer for _ in range(3)] == ["b"] * 3
    assert len(refused.asked) == calls


def test_who_has_a_wrong_key_says_so_at_once_where_nobody_else_is() -> None:
    refused = Scripted("a", Rejected("no", kind="auth", status=401))
    for _ in range(2):
        with pytest.raises(Rejected):
            ask(way(refused))


@pytest.mark.parametrize("error", [Rejected("no", kind="auth"), Throttled("wait", retry_after_s=3)])
def test_any_failure_leads_to_the_next(error: Exception) -> None:
    assert ask(way(Scripted("a", error)), way(Scripted("b", "hello"))).answerer == "b"


@pytest.mark.parametrize("stop", [Draining("stop"), Cancelled("stop")])
def test_a_stop_is_not_a_failure(stop: Exception) -> None:
    second = Scripted("b", "hello")
    with pytest.raises(type(stop)):
        ask(way(Scripted("a", stop)), way(second))
    assert second.asked == []


def test_a_dead_first_one_leaves_time_for_the_next() -> None:
    started = time.monotonic()
    told = ask(way(Scripted("a", 60.0), timeout_s=0.5), way(Scripted("b", "hello")))
    assert told.answerer == "b"
    assert time.monotonic() - started < at_most(5)


def test_the_first_one_gets_a_part_of_what_is_left() -> None:
    left_s: list[float] = []

    class Slow(Scripted):
        def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
            left_s.append(deadline.remaining_s())
            raise DeadlineExceeded("late", kind="timeout")

    ways = (way(Slow("a"), timeout_s=5000), way(Scripted("b", "hello")))
    assert ask(*ways, deadline=Deadline(1000)).answerer == "b"
    assert 500 < left_s[0] <= 600


def test_the_whole_has_a_deadline() -> None:
    second = Scripted("b", "hello")
    with pytest.raises(DeadlineExceeded):
        ask(way(Scripted("a", 60.0)), way(second), deadline=Deadline(0.3))
    assert second.asked == []


def test_hope_is_raised_first_and_the_shortest_wait_of_it() -> None:
    with pytest.raises(Throttled) as caught:
        ask(
            way(Scripted("a", Rejected("no"))),
            way(Scripted("b", Throttled("wait", retry_after_s=30))),
            way(Scripted("c", Throttled("wait", retry_after_s=4))),
        )
    assert caught.value.retry_after_s == 4


def test_when_all_say_no_so_do_we() -> None:
    with pytest.raises(Rejected):
        ask(way(Scripted("a", Rejected("no"))), way(Scripted("b", Rejected("no", kind="quota"))))
    with pytest.raises(Rejected):
        ask()


def test_nobody_calls_during_the_pause_that_a_server_asked_for() -> None:
    first = Scripted("a", Throttled("wait", retry_after_s=200), "hello")
    with pytest.raises(Throttled):
        ask(way(first))
    for _ in range(5):
        with pytest.raises(Throttled) as caught:
            ask(way(first))
        assert caught.value.code == "our_pause"
        assert 100 < (caught.value.retry_after_s or 0) <= 200
    assert len(first.asked) == 1


def test_who_was_switched_off_by_an_alert_keeps_nobody_waiting() -> None:
    first, second = Scripted("a", "hello"), Scripted("b", "hello")
    limiter.pause("a", OFF_S)
    assert ask(way(first), way(second)).answerer == "b"
    with pytest.raises(Unavailable) as caught:
        ask(way(first))
    assert (caught.value.code, caught.value.retry_after_s) == ("switched_off", 15.0)
    assert not first.asked


def test_the_fleet_wide_limit_of_an_answerer_is_kept() -> None:
    first, second = Scripted("a", "hello"), Scripted("b", "hello")
    ways = (way(first, limits=Limits((Bucket("a", Rate.parse("20/h")),))), way(second))
    assert [ask(*ways).answerer for _ in range(4)] == ["a", "a", "b", "b"]


def test_one_that_fails_all_the_time_is_left_alone_and_tried_again_later() -> None:
    first, second = Scripted("a", Unavailable("down")), Scripted("b", "hello")
    for _ in range(15):
        assert ask(way(first), way(second)).answerer == "b"
    assert len(first.asked) == 10
    tries = ask(way(first), way(second)).answer.details["tries"]
    assert tries[0]["skipped"] == "breaker"
    with pytest.raises(Unavailable) as caught:
        ask(way(first))
    assert 0 < (caught.value.retry_after_s or 0) <= 15


@pytest.mark.parametrize(
    "error", [Rejected("no", kind="auth"), Unavailable("empty", kind="content"), Throttled("w", retry_after_s=0)]
)
def test_what_is_not_about_health_does_not_open_the_breaker(error: Exception) -> None:
    for _ in range(15):
        ask(way(Scripted("a", error)), way(Scripted("b", "hello")))
    assert breaker.ask("a").reason != "breaker"


def test_a_message_is_tried_again_within_the_retry_budget(openai: Emulator) -> None:
    openai.control.fault("status", status=503, always=True)
    model = ChatModel("provider:openai", f"{openai.url}/v1/chat/completions", "m", patience=Patience(10, 20, 20))
    codes = []
    for _ in range(6):
        with pytest.raises((Unavailable, Throttled)) as caught:
            answer([Way(model, 10)], question(), {}, Deadline(30), nobody)
        codes.append(caught.value.code)
    assert codes == [None] * 4 + ["our_retries"] * 2  # one first try, and the three that are always allowed
    assert len(openai.control.calls()) == 4
    assert isinstance(caught.value, Throttled)
    assert 0 < (caught.value.retry_after_s or 0) <= 10


def test_calls_at_the_same_time_are_limited_and_the_next_way_is_taken() -> None:
    others, go_on = threading.Semaphore(0), threading.Event()

    class Busy(Scripted):
        def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
            assert go_on.wait(60)
            return super().answer(question, deadline, on_text)

    class Free(Scripted):
        def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
            others.release()
            return super().answer(question, deadline, on_text)

    ways = (way(Busy("a", "hello"), limits=Limits(at_once=2)), way(Free("b", "hello")))
    with ThreadPoolExecutor(4) as pool:
        told = [pool.submit(lambda: ask(*ways, deadline=Deadline(120)).answerer) for _ in range(4)]
        both = [others.acquire(timeout=60) for _ in range(2)]
        go_on.set()
    assert both == [True, True], "they did not wait for those who were busy"
    assert sorted(one.result() for one in told) == ["a", "a", "b", "b"]
    assert ask(*ways).answerer == "a", "the places are free again"


@pytest.mark.parametrize("error", [Cancelled("stop"), ZeroDivisionError("a bug"), Rejected("no")])
def test_a_place_is_given_back_however_a_call_ends(error: Exception) -> None:
    first = Scripted("a", error, "hello")
    with pytest.raises(type(error)):
        ask(way(first, limits=Limits(at_once=1)))
    assert ask(way(first, limits=Limits(at_once=1))).answer.text == "hello"


def test_tokens_are_guessed_before_a_call_and_corrected_after_it() -> None:
    bucket = Bucket("tokens:a", Rate.parse("60000/h"), "tokens")  # 6,000 at once

    class Modest(Scripted):
        def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
            spoken = super().answer(question, deadline, on_text)
            return replace(spoken, answer=replace(spoken.answer, usage=Usage(*usage)))

    ways = (way(Modest("a", "hello"), limits=Limits((bucket,))), way(Scripted("b", "hello")))
    usage = (50, 50)
    for _ in range(5):  # a guess of 5,300 each, and used 100
        assert answer(ways, question(), {}, Deadline(30), nobody, lambda: 5_000).answerer == "a"
    usage = (9_000, 1_000)  # much more than the guess: the next one has to wait for it
    assert answer(ways, question(), {}, Deadline(30), nobody, lambda: 100).answerer == "a"
    told = answer(ways, question(), {}, Deadline(30), nobody, lambda: 100)
    assert told.answerer == "b"
    assert told.answer.details["tries"][0]["skipped"] == "tokens"
    assert 180 < told.answer.details["tries"][0]["wait_s"] <= 360


def test_what_every_try_cost_is_noted() -> None:
    spending.begin(Whose("chat", "default", "u1"))
    ask(way(Scripted("provider:a", Unavailable("down"))), way(Scripted("provider:b", "hello")))
    noted = spending.for_answer() or []
    assert [(entry[4], entry[7], entry[8], entry[9]) for entry in noted] == [
        ("a", "answer", 1, 1),
        ("provider:b", "answer", 1, 0),  # as the answer says who gave it
    ]
    spending.end()


@pytest.mark.parametrize(
    ("usage", "currency", "cost_nano"),
    [
        (Usage(1, 1, 0.25, "USD"), "", 250_000_000),
        (Usage(1, 1, 0.25, "RMB"), "cny", 250_000_000),
        (Usage(1, 1, 0.25, "USD"), "CNY", None),
        (Usage(1, 1), "CNY", None),
        (Usage(1, 1, float("nan"), ""), "", None),
    ],
)
def test_a_far_side_may_say_what_a_call_cost(usage: Usage, currency: str, cost_nano: int | None) -> None:
    assert fallback._told_cost(usage, currency) == cost_nano


def test_a_bug_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        ask(way(Scripted("a", ZeroDivisionError("a bug"))), way(Scripted("b", "hello")))


def test_a_burst_of_errors_is_not_amplified(openai: Emulator, dify: Emulator) -> None:
    openai.control.fault("status", status=500, always=True)
    model = ChatModel("provider:openai", f"{openai.url}/v1/chat/completions", "m", patience=Patience(10, 20, 20))
    app = DifyApp("workflow:x", dify.url, SecretStr("app-chat"), patience=Patience(10, 20, 20))
    ways = (Way(model, 10), Way(app, 10))
    for _ in range(30):
        assert answer(ways, question(message_id=next(_ids)), {}, Deadline(30), nobody).answerer == "workflow:x"
    calls: Callable[[Emulator], int] = lambda far: len(far.control.calls())  # noqa: E731
    assert calls(openai) == 10
    assert calls(openai) + calls(dify) <= 30 * 1.2 + 10


@pytest.mark.usefixtures("no_redis")
def test_it_answers_without_redis() -> None:
    assert ask(way(Scripted("a", Unavailable("down"))), way(Scripted("b", "hello"))).answerer == "b"


def accepting(*bad: str) -> Any:
    return lambda given: "" if given.text not in bad else ("empty" if given.text == "" else "refusal")


def consult(*ways: Way, accept: Any) -> Any:
    return answer(ways, question(), {}, Deadline(30), nobody, accept=accept)


def test_an_answer_that_is_not_accepted_has_one_more_asked_and_nobodys_breaker_hears_of_it() -> None:
    told = consult(way(Scripted("no", "I can't")), way(Scripted("b", "hello")), accept=accepting("I can't"))
    assert told.answer.text == "hello"
    assert [one.get("objection") for one in told.answer.details["tries"]] == ["refusal", None]
    assert told.answer.details["answerer"] == "b"
    for _ in range(12):
        consult(way(Scripted("no", "I can't")), way(Scripted("b", "hello")), accept=accepting("I can't"))
    assert breaker.ask("no", NO_LIMITS).reason == ""


def test_of_two_refusals_the_first_is_told_and_a_third_way_is_not_asked() -> None:
    third = Scripted("c", "hello")
    told = consult(way(Scripted("a", "no 1")), way(Scripted("b", "no 2")), way(third), accept=accepting("no 1", "no 2"))
    assert told.answer.text == "no 1"
    assert third.asked == []


def test_a_refusal_is_better_than_nothing() -> None:
    assert consult(way(Scripted("a", "")), way(Scripted("b", "no")), accept=accepting("", "no")).answer.text == "no"
    dead = Scripted("b", Unavailable("down", kind="server"))
    assert consult(way(Scripted("a", "no")), way(dead), accept=accepting("no")).answer.text == "no"
    assert consult(way(Scripted("a", "no")), accept=accepting("no")).answer.text == "no"


def test_two_empty_answers_are_none() -> None:
    with pytest.raises(Rejected) as raised:
        consult(way(Scripted("a", "")), way(Scripted("b", "")), way(Scripted("c", "hello")), accept=accepting(""))
    assert raised.value.code == "empty"
