"""The last words: pieces in order, each once; what an unclear outcome means; every branch of an apology."""

from __future__ import annotations

import pytest

from mindbot_tasks import presence
from mindbot_tasks.chat import wordless
from mindbot_tasks.core.errors import Draining, Rejected, Throttled, Unavailable
from mindbot_tasks.core.words import say
from mindbot_tasks.llm import fallback
from mindbot_tasks.llm.fallback import Told
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Part, Stage
from mindbot_tasks.platforms.base import Capabilities
from mindbot_tasks.stores import replaying
from mindbot_tasks.stores.database import transaction
from tests.stages.conftest import Ledger, without_pulse
from tests.stores.words import message

C, G, R, A = Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY, Stage.APOLOGISE
AMBIGUOUS = Unavailable("no answer", kind="ambiguous")


@pytest.fixture
def three_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(Answer("one\n\ntwo\n\nthree", provider="test"), "test")
    monkeypatch.setattr(fallback, "answer", lambda *_: told)


@pytest.mark.usefixtures("three_pieces")
def test_a_retry_goes_on_after_the_pieces_that_went_out(ledger: Ledger) -> None:
    one = ledger.receive()
    ledger.stooge.script = [None, Throttled("slow down", retry_after_s=0.01)]
    ledger.run(one, C, G)
    assert ledger.run(one, R) == "RETRY"
    assert ledger.stooge.shown == ["one"]
    ledger.awaken(one)
    assert ledger.run(one, R) == "SUCCESS"
    assert ledger.stooge.shown == ["one", "two", "three"]
    told = ledger.told(one)
    assert [(sent.part, sent.external_id) for sent in told.sends] == [(0, "sent-1"), (1, "sent-2"), (2, "sent-3")]
    keys = [outgoing.key for outgoing in ledger.stooge.outgoing]
    assert keys[1] == keys[2], "the same piece has the same key at every try"
    assert len(set(keys)) == 3


def test_a_piece_that_may_have_gone_out_is_not_sent_again(ledger: Ledger) -> None:
    one = ledger.receive()
    ledger.stooge.script = [AMBIGUOUS]
    assert ledger.run(one, C, G, R) == "SUCCESS"
    (sent,) = ledger.told(one).sends
    assert sent.note.startswith("unconfirmed")


def test_where_a_second_send_shows_nothing_twice_it_is_sent_again(ledger: Ledger) -> None:
    ledger.stooge.capabilities = Capabilities(idempotent_send=True)
    one = ledger.receive()
    ledger.stooge.script = [AMBIGUOUS]
    assert ledger.run(one, C, G, R) == "RETRY"
    ledger.awaken(one)
    assert ledger.run(one, R) == "SUCCESS"
    assert len(ledger.stooge.shown) == 1


def test_a_reply_whose_worker_died_in_mid_send_says_that_it_comes_again(ledger: Ledger) -> None:
    one = ledger.receive()
    ledger.run(one, C, G)
    ledger.change(one, strikes=1, state="replying", replying_at=1)
    assert ledger.run(one, R) == "SUCCESS"
    assert ledger.stooge.outgoing[0].resend
    assert ledger.told(one).sends[0].note == "sent again after a worker died in mid-send"


def test_a_worker_that_was_frozen_since_its_claim_sends_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ledger.receive()
    ledger.run(one, C, G)
    monkeypatch.setattr(without_pulse(presence.get_presence()), "_heard_at", float("-inf"))
    assert ledger.run(one, R) == "IGNORED"
    assert ledger.stooge.shown == []
    assert ledger.told(one).events[-1].step == "reply:released"


def test_an_answer_that_the_platform_refuses_becomes_an_apology(ledger: Ledger) -> None:
    one = ledger.receive()
    ledger.stooge.script = [Rejected("too long")]
    assert ledger.run(one, C, G, R) == "IGNORED"
    assert ledger.run(one, A) == "SUCCESS"
    assert ledger.stooge.shown == [say("apology.failed", "en")]
    told = ledger.told(one)
    assert told.message["state"] == "apologised"
    assert told.answer is not None
    assert told.answer["provider"] == "offline", "an answer that exists stays"


@pytest.mark.usefixtures("three_pieces")
@pytest.mark.parametrize(("verdict", "state"), [("failed", "expired"), ("late", "expired"), ("poison", "quarantined")])
def test_no_apology_comes_on_top_of_a_part_of_the_answer(ledger: Ledger, verdict: str, state: str) -> None:
    one = ledger.receive()
    ledger.stooge.script = [None, Rejected("no more")]
    ledger.run(one, C, G, R)
    ledger.change(one, verdict=verdict)
    ledger.run(one, A)
    assert ledger.stooge.shown == ["one"]
    assert ledger.state(one) == state


@pytest.mark.parametrize(
    ("verdict", "state"),
    [("failed", "apologised"), ("late", "apologised"), ("cancelled", "apologised"), ("poison", "quarantined")],
)
def test_each_verdict_has_its_words_and_its_end(ledger: Ledger, verdict: str, state: str) -> None:
    one = ledger.receive()
    ledger.change(one, verdict=verdict)
    ledger.run(one, A)
    # who has stopped it hears so once, by the answer to /stop
    assert ledger.stooge.shown == ([] if verdict == "cancelled" else [say(f"apology.{verdict}", "en")])
    told = ledger.told(one)
    assert told.message["state"] == state
    assert told.answer is not None
    assert told.answer["provider"] == "apology", "who fetches answers finds it"


def test_an_apology_that_fails_is_tried_again_and_then_ends_in_silence(ledger: Ledger) -> None:
    one, behind = ledger.receive(), ledger.receive()
    ledger.change(one, verdict="failed")
    ledger.stooge.script = [Unavailable("down", kind="connection")] * 6
    ends = []
    for _ in range(6):
        ends.append(ledger.run(one, A))
        ledger.awaken(one)
    assert ends == ["RETRY"] * 5 + ["IGNORED"]
    assert ledger.state(one) == "expired"
    assert ledger.run(behind, C) == "SUCCESS", "those behind it go on"


def test_an_apology_that_is_refused_ends_in_silence_at_once(ledger: Ledger) -> None:
    one = ledger.receive()
    ledger.change(one, verdict="poison")
    ledger.stooge.script = [Rejected("unknown person")]
    ledger.run(one, A)
    assert ledger.state(one) == "quarantined"
    assert "no apology" in ledger.told(one).events[-1].note


def test_an_apology_that_may_have_gone_out_is_not_given_twice(ledger: Ledger) -> None:
    one = ledger.receive()
    ledger.change(one, verdict="failed")
    ledger.stooge.script = [AMBIGUOUS]
    assert ledger.run(one, A) == "SUCCESS"
    assert ledger.state(one) == "apologised"
    assert len(ledger.stooge.outgoing) == 1


def test_an_apology_of_a_stopping_worker_is_given_by_another(ledger: Ledger) -> None:
    one = ledger.receive()
    ledger.change(one, verdict="failed")
    ledger.stooge.script = [Draining("stopping")]
    assert ledger.run(one, A) == "IGNORED"
    assert ledger.run(one, A) == "SUCCESS"
    assert ledger.stooge.shown == [say("apology.failed", "en")]


def test_a_message_without_words_is_answered_without_a_model(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fallback, "answer")
    one = ledger.receive(text="")
    ledger.run(one, C, G, R)
    assert ledger.stooge.shown == [wordless.answer_to([], "en").text]


@pytest.mark.usefixtures("three_pieces")
def test_a_replayed_reply_sends_the_saved_answer_again(ledger: Ledger) -> None:
    one = ledger.receive()
    ledger.run(one, C, G, R)
    with transaction() as connection:
        replaying.rewind(connection, one, R, deadline_ms=600_000)
    ledger.run(one, R)
    assert ledger.stooge.shown == ["one", "two", "three"] * 2


def test_parts_without_words_are_kept(ledger: Ledger) -> None:
    picture = message(platform="stooge", text="")
    one = ledger.receive(text="look")
    assert [part.kind for part in picture.parts] == ["text"]
    assert Part("text", "look").text == ledger.told(one).message["text"]
