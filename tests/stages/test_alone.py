"""The process of its own in which a suspect is tried, as the worker beside it sees it."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection

import pytest

from mindbot_tasks import alone, presence
from mindbot_tasks.app import app
from mindbot_tasks.core import shutdown
from mindbot_tasks.model.message import Stage
from mindbot_tasks.stores.suspects import WORKER_LOST
from mindbot_tasks.sweep import sweep
from tests.stages.conftest import Ledger

C, G = Stage.CLASSIFY, Stage.GENERATE


def _suspect(ledger: Ledger) -> int:
    one = ledger.receive()
    ledger.run(one, C)
    ledger.change(one, strikes=2, last_error=WORKER_LOST)
    return one


def _try_alone(one: int) -> str:
    return str(app.tasks["mindbot.alone"].apply(args=(one, "generate")).state)


def _processes_end(
    monkeypatch: pytest.MonkeyPatch, ledger: Ledger, done: bool, *, died: int = 0, claim: bool = True
) -> list[int]:
    """Each process ends like this, having claimed the message before; returns those for which one was started."""
    started = []

    def watched(message_id: int, stage: str, queue: str) -> alone.End:
        started.append(message_id)
        if claim:
            told = ledger.told(message_id).message
            ledger.change(message_id, strikes=told["strikes"] + 1, attempt=told["attempt"] + 1)
        return alone.End(done, died)

    monkeypatch.setattr(alone, "_watched", watched)
    return started


def test_a_message_that_killed_the_process_of_its_own_is_given_up(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, started: list[tuple[int, Stage]]
) -> None:
    one = _suspect(ledger)
    _processes_end(monkeypatch, ledger, False, died=4711)
    assert _try_alone(one) == "IGNORED"
    started.clear()
    sweep.run(at_once=True)
    assert ledger.told(one).message["verdict"] == "poison"
    assert started == [(one, Stage.APOLOGISE)]


def test_a_process_that_died_before_its_claim_condemns_nobody(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    one = _suspect(ledger)
    _processes_end(monkeypatch, ledger, False, died=4711, claim=False)
    assert _try_alone(one) == "IGNORED"
    assert ledger.told(one).message["strikes"] == 2
    assert ledger.told(one).message["last_error"] == WORKER_LOST


@pytest.mark.parametrize(("done", "state"), [(True, "SUCCESS"), (False, "IGNORED")])
def test_the_chain_goes_on_only_after_a_good_end(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, done: bool, state: str
) -> None:
    _processes_end(monkeypatch, ledger, done)
    assert _try_alone(_suspect(ledger)) == state


def test_a_process_is_started_for_suspects_only_and_while_there_is_room(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = _processes_end(monkeypatch, ledger, True)
    innocent = ledger.receive()
    ledger.run(innocent, C)
    assert _try_alone(innocent) == "IGNORED"
    one = _suspect(ledger)
    for _ in range(alone.AT_ONCE):
        alone._places.acquire()
    assert _try_alone(one) == "IGNORED"
    assert begun == []
    alone._places.release(alone.AT_ONCE)
    assert _try_alone(one) == "SUCCESS"
    assert begun == [one]


def test_a_suspect_is_not_taken_among_others(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    one = _suspect(ledger)
    assert ledger.run(one, G) == "IGNORED"
    monkeypatch.setattr(presence, "_alone", True)
    assert ledger.run(one, G) == "SUCCESS"
    assert ledger.state(one) == "answered"


def _lives(message_id: int, stage: str, queue: str, said: Connection) -> None:
    """In place of the life of such a process: what becomes of it hangs on the number of its message."""
    if message_id == 1:
        said.send((stage, queue) == ("generate", "agent"))
    elif message_id == 2:
        said.send(False)
    elif message_id == 3:
        os._exit(9)
    else:
        os.kill(os.getpid(), signal.SIGSTOP)  # it neither ends nor says anything


def test_a_worker_knows_how_its_process_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "_live", _lives)
    assert [alone._watched(number, "generate", "agent") for number in (1, 2)] == [alone.End(True), alone.End(False)]
    assert alone._watched(3, "generate", "agent").died > 1
    monkeypatch.setattr(shutdown, "_stop_by", 0.0)
    started = alone._started

    def kill_when_told(*args: object) -> object:
        it = started(*args)
        monkeypatch.setattr(it, "terminate", it.kill)  # a stopped process hears nothing else
        return it

    monkeypatch.setattr(alone, "_started", kill_when_told)
    assert alone._watched(4, "generate", "agent") == alone.End(False), (
        "whoever is ended by us did not die of its message"
    )
