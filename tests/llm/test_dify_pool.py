"""Several endpoints and keys behind one workflow: load, home of a conversation, failover, retries."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from emulators.running import Emulator, running
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Cancelled, DeadlineExceeded, FarSideError, Rejected, Throttled, Unavailable
from mindbot_tasks.core.settings import Settings, WorkflowSettings
from mindbot_tasks.llm import fallback
from mindbot_tasks.llm.dify import modes
from mindbot_tasks.llm.dify import pool as pool_module
from mindbot_tasks.llm.dify.pool import DifyPool, Endpoint
from mindbot_tasks.llm.workflows import endpoints_of, workflow_way
from mindbot_tasks.stores import breaker
from mindbot_tasks.stores.leave import MIN_CALLS, RETRY_FLOOR, TRIES_SLOT_US
from tests.llm.asking import nobody, question, stopping
from tests.llm.conftest import Clock
from tests.llm.dify_apps import CHAT, app, paths
from tests.slack import at_most


@pytest.fixture(autouse=True)
def nothing_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    modes.forget()
    monkeypatch.setattr(pool_module, "_BACKOFF_S", 0.05)


def test_by_itself_a_pause_is_short() -> None:
    assert pool_module._BACKOFF_S * 4 * 1.5 < pool_module._MOST_WAIT_S


@pytest.fixture(scope="module")
def second_process() -> Iterator[Emulator]:
    with running("dify") as emulator:
        yield emulator


@pytest.fixture
def second(second_process: Emulator) -> Emulator:
    second_process.control.reset()
    return second_process


_names = itertools.count()


def one(dify: Emulator, max_retries: int = 2) -> DifyPool:
    name = f"workflow:one{next(_names)}"  # with a breaker and a budget of retries of its own
    return DifyPool(name, (Endpoint("a", replace(app(dify, "app-chat", CHAT), name=name)),), max_retries)


def two(dify: Emulator, second: Emulator, name: str, **options: Any) -> DifyPool:
    """Names of their own keep the breakers of the tests apart."""
    made = [
        Endpoint(label, replace(app(far, "app-chat", CHAT), name=f"workflow:{name}"), weight)
        for label, far, weight in (("a", dify, options.pop("first", 1.0)), ("b", second, 1.0))
    ]
    return DifyPool(f"workflow:{name}", tuple(made), **options)


def ask(pool: DifyPool, deadline: Deadline | None = None, **fields: Any) -> Any:
    return pool.answer(question(**fields), deadline or Deadline(30), nobody)


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        ({"action": "status", "status": 503}, 3),
        ({"action": "html", "status": 502}, 3),
        ({"action": "drop"}, 3),
        ({"action": "throttle", "retry_after": None}, 3),
        ({"action": "status", "status": 400, "body": {"code": "completion_request_error", "status": 400}}, 2),
        ({"action": "status", "status": 400, "body": {"code": "app_unavailable", "status": 400}}, 1),
        ({"action": "status", "status": 401, "body": {"code": "unauthorized", "status": 401}}, 1),
        ({"action": "throttle", "retry_after": 30}, 1),
        ({"action": "answer", "text": " "}, 1),
    ],
)
def test_only_what_may_pass_is_tried_again_and_not_too_often(dify: Emulator, fault: dict[str, Any], tries: int) -> None:
    dify.control.fault(path=CHAT, always=True, **fault)
    with pytest.raises(FarSideError):
        ask(one(dify))
    assert paths(dify).count(CHAT) == tries


@pytest.mark.parametrize("max_retries", [0, 1])
def test_max_retries_is_the_number_of_tries_after_the_first(dify: Emulator, max_retries: int) -> None:
    dify.control.fault("status", CHAT, status=503, always=True)
    with pytest.raises(Unavailable):
        ask(one(dify, max_retries))
    assert paths(dify).count(CHAT) == 1 + max_retries


def test_a_failure_that_passes_is_not_noticed(dify: Emulator) -> None:
    dify.control.fault("status", CHAT, status=503, times=2)
    assert ask(one(dify), text="hi", history=()).answer.text == "You said: hi"


def test_a_stop_ends_the_pause_between_two_tries(dify: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_BACKOFF_S", 60.0)
    monkeypatch.setattr(pool_module, "_MOST_WAIT_S", 60.0)
    dify.control.fault("status", CHAT, status=503, always=True)
    with pytest.raises(Cancelled):
        ask(one(dify, 30), stopping(Cancelled, 0.5, 600))
    assert paths(dify) == [CHAT]


def test_who_was_too_slow_is_not_asked_again(dify: Emulator) -> None:
    dify.control.fault("silence", CHAT, seconds=30, always=True)
    with pytest.raises(DeadlineExceeded):
        ask(one(dify), Deadline(2))
    assert paths(dify) == [CHAT]


def test_retries_have_a_budget_of_the_whole_fleet(dify: Emulator, clock: Clock, shared: Any) -> None:
    """A far side in trouble does not get more work for it."""
    dify.control.fault("status", CHAT, status=503, always=True)
    pool = one(dify)

    def calls_for(message_id: int) -> int:
        before = paths(dify).count(CHAT)
        with pytest.raises(Unavailable):
            ask(pool, message_id=message_id)
        return paths(dify).count(CHAT) - before

    assert [calls_for(number) for number in range(1, 5)] == [3, 2, 1, 1]
    assert list(shared.hgetall(f"mindbot:tries:{pool.name}").values()) == [str(RETRY_FLOOR)], "all processes see it"
    clock.move(TRIES_SLOT_US / 1_000_000)
    assert calls_for(5) == 3, "in each slot a few are always allowed"


def test_one_endpoint_asks_redis_nothing(dify: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "ask", None)
    assert ask(one(dify)).answer.text


def test_load_is_shared_by_weight(dify: Emulator, second: Emulator) -> None:
    pool = two(dify, second, "shared", first=3.0, chance=random.Random(7).random)
    for _ in range(40):
        ask(pool)
    first = paths(dify).count(CHAT)
    assert first + paths(second).count(CHAT) == 40
    assert 18 <= first <= 39


def test_weight_zero_only_stands_in(dify: Emulator, second: Emulator) -> None:
    pool = two(dify, second, "spare", first=0.0)
    for _ in range(5):
        ask(pool)
    assert (paths(dify), len(paths(second))) == ([], 5)
    second.control.fault("status", CHAT, status=503)
    assert ask(pool).answer.details["endpoint"] == "a"


def test_a_conversation_stays_at_its_endpoint(dify: Emulator, second: Emulator) -> None:
    pool = two(dify, second, "sticky")
    for _ in range(4):
        first = ask(pool)
        session = first.session_id
        for _ in range(3):
            following = ask(pool, session_id=session)
            assert following.answer.details["endpoint"] == first.answer.details["endpoint"]
            assert following.session_id == session


def test_when_its_endpoint_fails_the_conversation_moves_and_is_told_again(dify: Emulator, second: Emulator) -> None:
    pool = two(dify, second, "moving")
    session = ask(pool).session_id
    home, other = (dify, second) if session.startswith("a~") else (second, dify)
    home.control.fault("status", CHAT, status=503, always=True)
    other.control.reset()
    moved = ask(pool, text="and now?", session_id=session)
    assert moved.session_id.partition("~")[0] != session.partition("~")[0]
    assert len(other.control.calls()) == 1
    sent = other.control.calls()[0]
    assert sent["new_conversation"] is True
    assert "User: before" in sent["text"]
    assert sent["text"].endswith("and now?")


def test_another_key_of_the_same_server_may_know_the_conversation(dify: Emulator) -> None:
    """If it does not, that costs one refusal."""
    keys = [
        Endpoint(label, replace(app(dify, key, CHAT), name="workflow:keys"))
        for label, key in (("a", "app-one"), ("b", "app-two"))
    ]
    pool = DifyPool("workflow:keys", tuple(keys))
    session = ask(pool).session_id
    home = "app-one" if session.startswith("a~") else "app-two"
    assert home
    dify.control.fault("status", CHAT, status=503, times=1)
    assert ask(pool, session_id=session).session_id.partition("~")[0] != session.partition("~")[0]
    assert [call["status"] for call in dify.control.calls()][-3:] == [503, 404, 200]


def test_a_sick_endpoint_is_set_aside(dify: Emulator, second: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_ASIDE_S", 3600.0)
    pool = two(dify, second, "sick")
    dify.control.fault("status", CHAT, status=503, always=True)
    for _ in range(12):
        assert ask(pool).answer.details["endpoint"] == "b"
    assert paths(dify).count(CHAT) <= 1


def test_an_open_breaker_keeps_an_endpoint_from_being_called(dify: Emulator, second: Emulator) -> None:
    pool = two(dify, second, "open")
    for _ in range(MIN_CALLS + 2):
        breaker.report("workflow:open#a", "bad", breaker.ask("workflow:open#a"))
    for _ in range(6):
        assert ask(pool).answer.details["endpoint"] == "b"
    assert paths(dify) == []


def test_a_throttled_endpoint_is_left_alone_by_the_fleet(dify: Emulator, second: Emulator) -> None:
    pool = two(dify, second, "throttled")
    dify.control.fault("throttle", CHAT, retry_after=60, always=True)
    second.control.fault("throttle", CHAT, retry_after=30, always=True)
    with pytest.raises(Throttled) as caught:
        ask(pool)
    assert caught.value.retry_after_s == 30
    with pytest.raises(Throttled):
        ask(replace(pool, _aside={}))
    assert (len(paths(dify)), len(paths(second))) == (1, 1)


def test_a_hanging_endpoint_leaves_time_for_the_other(
    dify: Emulator, second: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_MIN_SHARE_S", 0.5)
    pool = two(dify, second, "hanging", chance=lambda: 0.5)
    dify.control.fault("silence", CHAT, seconds=60, always=True)
    started = time.monotonic()
    assert ask(pool, Deadline(5)).answer.details["endpoint"] == "b"
    assert time.monotonic() - started < at_most(5)


def test_when_all_say_no_the_reason_is_told(dify: Emulator, second: Emulator) -> None:
    for far in (dify, second):
        far.control.fault("status", CHAT, status=401, body={"code": "unauthorized", "status": 401}, always=True)
    with pytest.raises(Rejected) as caught:
        ask(two(dify, second, "locked"))
    assert caught.value.kind == "auth"


def test_behind_the_fallback_a_workflow_is_one_way(dify: Emulator, second: Emulator) -> None:
    settings = Settings(
        workflows={
            "way": WorkflowSettings.model_validate(
                {
                    "dify_endpoint": dify.url, "dify_api_key": "app-chat", "timeout": 7, "send_history": "never",
                    "endpoints": [{"name": "spare", "endpoint": second.url, "weight": 0}],
                }
            )
        }
    )  # fmt: skip
    way = workflow_way(settings, "way")
    assert way is not None
    assert way.timeout_s == 7
    dify.control.fault("status", CHAT, status=503, always=True)
    told = fallback.answer([way], question("hi"), {}, Deadline(20), nobody)
    assert (told.answer.text, told.answerer, told.answer.workflow) == ("You said: hi", "workflow:way", "way")
    assert told.session_id.startswith("spare~")


def test_endpoints_without_a_name_keep_their_label() -> None:
    def labels(**more: Any) -> list[str]:
        workflow = WorkflowSettings.model_validate({"dify_api_key": "app-1", **more})
        return [endpoint.label for endpoint in endpoints_of(Settings(), "w", workflow)]

    [alone] = labels()
    assert labels(endpoints=[{"key": "app-2"}])[0] == alone
    assert labels(endpoints=[{"key": "app-2"}]) == labels(endpoints=[{"dify_api_key": "app-2", "weight": 3}])
    assert "app-" not in "".join(labels(endpoints=[{"key": "app-2"}]))


def test_a_workflow_without_any_key_is_no_way() -> None:
    assert workflow_way(Settings(workflows={"w": WorkflowSettings(endpoints=[])}), "w") is None
    keyed = WorkflowSettings.model_validate({"endpoints": [{"key": "app-1"}]})
    assert keyed.endpoints[0].api_key == SecretStr("app-1")
    assert workflow_way(Settings(workflows={"w": keyed}), "w") is not None
