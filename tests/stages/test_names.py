"""Names of people whom the platform names by id alone: asked for after the answer, once, and kept."""

from __future__ import annotations

import pytest

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.model.message import Stage
from mindbot_tasks.platforms import registry
from mindbot_tasks.stores import inbox, people
from tests.stages.conftest import Ledger
from tests.stages.stooge import Stooge

STAGES = (Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY)


class Namer(Stooge):
    """Knows everybody, but says so only when asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int]] = []
        self.fails = False

    def name_of(self, user_id: str, deadline: Deadline) -> str:
        self.asked.append((user_id, len(self.shown)))
        if self.fails:
            raise Unavailable("not now", kind="server")
        return f"Name of {user_id}"


@pytest.fixture
def namer(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Namer:
    it = Namer()
    ledger.stooge = it
    monkeypatch.setitem(registry.FACTORIES, "stooge", lambda *_: it)
    registry.get.cache_clear()
    return it


def sender_of(ledger: Ledger, message_id: int) -> object:
    return ledger.told(message_id).message["sender_name"]


def test_the_name_is_asked_for_after_the_answer_and_once(ledger: Ledger, namer: Namer) -> None:
    one = ledger.receive(sender_name="")
    assert ledger.run(one, *STAGES) == "SUCCESS"
    assert namer.asked == [("u1", 1)]
    assert sender_of(ledger, one) == "Name of u1"
    people.forget()  # as in another worker
    inbox.forget_known()
    two = ledger.receive(sender_name="")
    assert ledger.run(two, *STAGES) == "SUCCESS"
    assert namer.asked == [("u1", 1)]
    assert sender_of(ledger, two) == "Name of u1", "an empty name from the platform takes nothing away"


def test_a_name_that_cannot_be_had_harms_nobody(ledger: Ledger, namer: Namer) -> None:
    namer.fails = True
    one = ledger.receive(sender_name="")
    assert ledger.run(one, *STAGES) == "SUCCESS"
    assert ledger.state(one) == "replied"
    assert sender_of(ledger, one) == ""
