"""What all stages share: claims, retries, limits, crashes, lost leases, a database that goes away, stopping."""

from __future__ import annotations

import time

import pytest
import structlog
from structlog.testing import capture_logs

from mindbot_tasks import presence
from mindbot_tasks.core import shutdown
from mindbot_tasks.core.errors import DatabaseUnavailable, Draining, Rejected, Throttled, Unavailable
from mindbot_tasks.core.words import say
from mindbot_tasks.llm import fallback
from mindbot_tasks.model.message import Stage, Verdict
from mindbot_tasks.reply import reply
from mindbot_tasks.stores import claims, steps
from mindbot_tasks.stores.database import one_statement
from mindbot_tasks.sweep import sweep
from tests.stages.conftest import Configure, Ledger, without_pulse
from tests.stores.words import worker

C, G, R, A = Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY, Stage.APOLOGISE


def _answer_with(monkeypatch: pytest.MonkeyPatch, exc: BaseException) -> None:
    """Whoever is asked for an answer raises this."""

    def fail(*_: object) -> None:
        raise exc

    monkeypatch.setattr(fallback, "answer", fail)


def test_three_stages_bring_an_answer(ledger: Ledger) -> None:
    one = ledger.receive()
    assert ledger.run(one, C, G, R) == "SUCCESS"
    assert ledger.state(one) == "replied"
    assert len(ledger.stooge.shown) == 1
    assert "42" in ledger.stooge.shown[0]


@pytest.mark.parametrize("stages", [(G,), (R,), (A,), (C, C), (C, G, G), (C, G, R, R), (C, R)])
def test_a_stage_whose_turn_it_is_not_ends_quietly(ledger: Ledger, stages: tuple[Stage, ...]) -> None:
    one = ledger.receive()
    assert ledger.run(one, *stages) == "IGNORED"
    assert len(ledger.stooge.shown) <= 1


def test_the_end_of_a_message_starts_the_next_of_its_conversation(
    ledger: Ledger, started: list[tuple[int, Stage]]
) -> None:
    first, second = ledger.receive(), ledger.receive()
    assert started == [(first, C)]
    assert ledger.run(second, C) == "IGNORED"
    ledger.run(first, C, G, R)
    assert started[1:] == [(second, C)]


def test_a_retry_waits_in_the_row_at_least_as_long_as_it_was_asked_to(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ledger.receive()
    ledger.run(one, C)
    _answer_with(monkeypatch, Throttled("slow down", retry_after_s=45))
    assert ledger.run(one, G) == "RETRY"
    told = ledger.told(one)
    assert told.message["not_before"] - told.events[-1].at >= 45_000
    assert (told.message["retries"], told.message["strikes"]) == (1, 0)
    assert ledger.run(one, G) == "IGNORED", "it must wait"


def test_a_message_is_given_up_after_the_last_retry(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ledger.receive()
    ledger.run(one, C)
    _answer_with(monkeypatch, Unavailable("down"))
    ends = []
    for _ in range(5):
        ends.append(ledger.run(one, G))
        ledger.awaken(one)
    assert ends == ["RETRY"] * 4 + ["IGNORED"]
    told = ledger.told(one)
    assert (told.message["state"], told.message["verdict"]) == ("classified", "failed")
    assert ledger.run(one, A) == "SUCCESS"
    assert ledger.stooge.shown == [say("apology.failed", "en")]
    assert ledger.state(one) == "apologised"


@pytest.mark.parametrize("code", ["our_limit", "our_pause", "our_tokens", "our_busy", "our_retries"])
def test_waiting_for_our_own_limits_is_no_retry(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    one = ledger.receive()
    ledger.run(one, C)
    _answer_with(monkeypatch, Throttled("fleet-wide limit", code=code, retry_after_s=0.01))
    for _ in range(8):
        assert ledger.run(one, G) == "RETRY"
        ledger.awaken(one)
    assert ledger.told(one).message["retries"] == 0


def test_the_limit_of_a_stage_is_taken_before_its_work(ledger: Ledger, configure: Configure) -> None:
    configure(limits={"reply": "2/m"})
    ids = [ledger.receive(conversation=f"c{number}") for number in range(4)]
    for one in ids:
        ledger.run(one, C, G)
    assert [ledger.run(one, R) for one in ids].count("RETRY") >= 2
    held_back = [one for one in ids if ledger.state(one) != "replied"]
    assert len(ledger.stooge.shown) == len(ids) - len(held_back)
    told = ledger.told(held_back[0])
    assert told.message["not_before"] > told.events[-1].at
    assert (told.message["retries"], told.message["strikes"]) == (0, 0)


def test_a_refusal_for_good_is_not_retried(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ledger.receive()
    ledger.run(one, C)
    _answer_with(monkeypatch, Rejected("no"))
    assert ledger.run(one, G) == "IGNORED"
    assert ledger.told(one).message["verdict"] == "failed"


def test_three_crashes_put_a_message_aside(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ledger.receive("a secret of mine")
    ledger.run(one, C)
    _answer_with(monkeypatch, ValueError("a secret of mine is no number"))
    with capture_logs() as lines:
        structlog.get_logger().info("capturing")
        for _ in range(3):
            assert ledger.run(one, G) == "FAILURE"
            ledger.awaken(one)
    assert "secret" not in str(lines)
    told = ledger.told(one)
    assert told.message["verdict"] == "poison"
    assert told.message["last_error"] == "ValueError"
    ledger.run(one, A)
    assert ledger.state(one) == "quarantined"


def test_a_crash_tells_celery_its_type_only(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ledger.receive()
    ledger.run(one, C)
    _answer_with(monkeypatch, ValueError("a secret of mine"))
    result = reply.app.tasks["mindbot.generate"].apply(args=(one,))
    assert "secret" not in f"{result.result!r} {result.traceback}"
    assert "ValueError" in repr(result.result)


def test_a_bot_that_nobody_knows_is_no_poison(ledger: Ledger) -> None:
    one = ledger.receive(bot="gone")
    ledger.run(one, C)
    for _ in range(3):
        assert ledger.run(one, G) == "IGNORED"
        ledger.awaken(one)
    assert ledger.told(one).message["verdict"] == "failed"
    for _ in range(3):
        ledger.run(one, A)
        ledger.awaken(one)
    assert ledger.state(one) == "expired"


def test_work_whose_lease_was_lost_does_not_count(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ledger.receive()
    ledger.run(one, C)
    answer = fallback.answer
    other = worker(ledger.engine)

    def slow(*args: object) -> object:
        ledger.change(one, lease_until=0)
        with one_statement() as connection:
            held = claims.claim(connection, one, G, worker=other, lease_ms=60_000)
        assert held is not None
        return answer(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(fallback, "answer", slow)
    assert ledger.run(one, G) == "IGNORED"
    told = ledger.told(one)
    assert (told.message["state"], told.answer) == ("classified", None)
    assert told.message["attempt"] == 3, "the other claim still holds it"


def test_a_message_whose_worker_loses_the_database_is_given_back_when_it_returns(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ledger.receive()
    ledger.run(one, C)
    _answer_with(monkeypatch, DatabaseUnavailable("away"))
    here = without_pulse(presence.get_presence())
    assert ledger.run(one, G) == "IGNORED"
    here._beat()
    told = ledger.told(one)
    assert told.events[-1].step == "generate:released"
    assert (told.message["retries"], told.message["strikes"]) == (0, 0)


def test_a_piece_that_went_out_is_remembered_although_the_database_was_away(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ledger.receive()
    ledger.run(one, C, G)

    def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("away")

    here = without_pulse(presence.get_presence())
    with monkeypatch.context() as patch:
        patch.setattr(steps, "_change", away)
        patch.setattr(ledger.stooge, "script", [lambda: None])
        assert ledger.run(one, R) == "IGNORED"
    assert ledger.state(one) == "replying"
    here._beat()
    assert ledger.state(one) == "replied"
    assert len(ledger.stooge.shown) == 1


def test_a_worker_that_stops_takes_nothing_new(ledger: Ledger) -> None:
    one = ledger.receive()
    shutdown.begin(10)
    assert ledger.run(one, C) == "IGNORED"
    told = ledger.told(one)
    assert (told.message["attempt"], told.message["strikes"]) == (0, 0)


def test_a_worker_that_stops_hands_over_what_it_cannot_finish(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ledger.receive()
    ledger.run(one, C)
    _answer_with(monkeypatch, Draining("stopping"))
    assert ledger.run(one, G) == "IGNORED"
    told = ledger.told(one)
    assert told.events[-1].note == "handed over by a stopping worker"
    assert (told.message["retries"], told.message["strikes"]) == (0, 0)
    time.sleep(0.01)
    assert sweep.run() == 1


def test_the_verdict_of_a_stage_is_known_to_the_apology(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ledger.receive("你好，请问你能帮我吗")
    ledger.change(one, verdict=Verdict.LATE.value)
    assert ledger.run(one, C) == "IGNORED"
    ledger.run(one, A)
    assert ledger.stooge.shown == [say("apology.late", "zh")]
