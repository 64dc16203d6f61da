"""DingTalk's AI cards: one card for each answer, which grows, ends once, and gives way to a message when it must."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from emulators.running import Emulator, running
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Draining, Unavailable
from mindbot_tasks.core.words import say
from mindbot_tasks.platforms.base import LiveTarget
from mindbot_tasks.platforms.dingtalk import live as live_cards
from mindbot_tasks.platforms.dingtalk.cards import PUBLIC_AI_TEMPLATES, message_of
from mindbot_tasks.platforms.dingtalk.client import CALLS, SHOWS
from mindbot_tasks.stores.limiter import LocalLimits, Rate
from tests.bridges.holding import until
from tests.platforms.card_asking import Asked, grow
from tests.platforms.far_side import Until

CREATE, STREAM = "/v1.0/card/instances/createAndDeliver", "/v1.0/card/streaming"
UPDATE, SESSION = "/v1.0/card/instances", "/robot/sendBySession"
AI_TEMPLATE = sorted(PUBLIC_AI_TEMPLATES)[0]


@pytest.fixture(scope="module")
def _process() -> Iterator[Emulator]:
    with running("dingtalk") as emulator:
        yield emulator


@pytest.fixture
def dingtalk(_process: Emulator) -> Emulator:
    _process.control.reset()
    _process.control.pace(delay_ms=0, tokens_per_second=0)
    _process.control.call("POST", "/sessions", {"session": "s1", "conversation": "cidAAAA=="})
    return _process


@pytest.fixture
def asked(dingtalk: Emulator) -> Asked:
    return Asked(dingtalk)


def test_an_answer_grows_on_one_card_and_ends_there(asked: Asked) -> None:
    live = asked.begin()
    text = grow(live, until=lambda: len(asked.calls(STREAM)) >= 2)
    live.end()
    assert asked.send(text) == next(iter(asked.cards()))
    assert asked.card()["state"] == "finished"
    assert asked.card()["values"] == {"content": text}
    streamed = asked.calls(STREAM, accepted=True)
    assert len(asked.calls(CREATE)) == 1
    assert len(streamed) >= 3
    assert [one["finalize"] for one in streamed] == [False] * (len(streamed) - 1) + [True]
    lengths = [len(one["text"]) for one in streamed]
    assert lengths == sorted(lengths)
    assert len({one["guid"] for one in streamed}) == len(streamed)
    assert asked.calls(SESSION) == []


class Clock:
    """Stands still until it is told to go on."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_updates_keep_their_distance_and_come_one_after_the_other(
    dingtalk: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(live_cards, "time", clock)
    asked = Asked(dingtalk, card_update_s=0.2)
    dingtalk.control.pace(delay_ms=60)
    live = asked.begin()
    text = ""
    for count in (1, 2, 3):
        text = grow(live, 9, so_far=text, until=lambda: len(asked.calls(STREAM)) == count)  # noqa: B023
        text = grow(live, so_far=text, words=20)
        assert len(asked.calls(STREAM)) == count, "no time has passed"
        clock.now += 0.21
    live.end()
    assert all(one["outcome"] == "sent" for one in asked.calls(STREAM))


def test_a_slow_platform_does_not_hold_the_model_up(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, answered = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        assert answers.wait(60)
        answered.set()

    monkeypatch.setattr(asked.bot._cards, "open", slow)
    live = asked.begin()
    grow(live, words=50, pause_s=0)
    assert not answered.is_set()
    answers.set()
    live.end()
    assert answered.is_set()


def test_nothing_is_shown_after_the_end(asked: Asked) -> None:
    live = asked.begin()
    asked.dingtalk.control.wait_for(path=CREATE)
    live.end()
    count = len(asked.calls(STREAM))
    grow(live, words=30)
    time.sleep(0.1)
    assert len(asked.calls(STREAM)) == count


def test_a_worker_that_may_not_speak_any_more_shows_nothing(asked: Asked) -> None:
    def gone() -> None:
        raise Draining("somebody else has it")

    live = asked.begin(Deadline(60, stop_check=gone))
    grow(live, words=20)
    live.end()
    assert asked.cards() == {}


def test_updates_leave_room_for_the_last_word(dingtalk: Emulator) -> None:
    limits = LocalLimits()
    asked = Asked(
        dingtalk, card_update_s=0.001,
        take=lambda name, rate: limits.take(name, Rate.parse(rate), 0) / 1e6,  # in one moment
    )  # fmt: skip
    lives = [asked.begin()]
    for _ in range(7):
        asked.ask_again()
        lives.append(asked.begin())

    def shown() -> int:
        return len(asked.calls(STREAM)) + len(asked.calls(CREATE))

    shows = Rate.parse(SHOWS)
    for live in lives * 2:
        grow(live, words=8, pause_s=0.001)
    grow(lives[0], until=lambda: shown() == shows.burst)
    for live in lives * 2:
        grow(live, words=8, pause_s=0.001)
    for live in lives:
        live.end()
    assert shown() == shows.burst
    asked.send()
    assert Rate.parse(CALLS).burst > shows.burst


def test_when_the_platform_says_slower_updates_are_skipped(asked: Asked) -> None:
    asked.dingtalk.control.call("POST", "/qps", {"per_s": 2})
    live = asked.begin()
    grow(live)
    live.end()
    asked.dingtalk.control.call("POST", "/qps", {"per_s": 0})
    asked.send()
    assert asked.card()["state"] == "finished"


def test_a_used_up_month_ends_the_updates(asked: Asked) -> None:
    quota = {"code": "Forbidden.AccessDenied.ApiCountLimitForOrg", "message": "quota"}
    asked.dingtalk.control.fault("status", STREAM, status=403, body=quota, always=True)
    live = asked.begin()
    grow(live, until=lambda: asked.calls(STREAM))
    live.end()
    assert len(asked.calls(STREAM)) == 1
    assert asked.send() == ""
    assert [one["text"] for one in asked.calls(SESSION, accepted=True)] == ["the whole answer"]
    target = LiveTarget(1, "1-1", "c", "one_to_one", "user01", asked.message.address)
    assert asked.bot.begin_live(target, Deadline(60)) is None, "the next answers do not even try"


def test_empty_texts_are_never_shown(asked: Asked) -> None:
    live = asked.begin()
    for _ in range(30):
        live(" \n")
        time.sleep(0.005)
    live.end()
    assert asked.calls(STREAM) == []


def test_long_answers_grow_to_the_limit_of_a_card(asked: Asked) -> None:
    live = asked.begin()

    def grown() -> bool:
        live("A sentence of some length. " * 300)
        return bool(asked.calls(STREAM))

    until(grown, "text on the card")
    live.end()
    assert max(len(one["text"]) for one in asked.calls(STREAM)) <= 5000
    asked.send("first part", total=2)
    asked.send("second part", number=1, total=2)
    assert asked.card()["values"]["content"] == "first part"
    assert [one["text"] for one in asked.calls(SESSION)] == ["second part"]


# crashes: the next try finds the same card


def test_a_second_try_goes_on_with_the_same_card(asked: Asked) -> None:
    first = asked.begin()
    grow(first, words=20, until=lambda: asked.calls(STREAM))
    first.end()
    second = asked.begin()  # as after a crash: nothing of the first is remembered
    grow(second, words=20, until=lambda: len(asked.calls(CREATE)) == 2)
    second.end()
    asked.send(earlier_tries=1)
    assert len(asked.cards()) == 1
    assert asked.card()["values"]["content"] == "the whole answer"
    assert asked.card()["state"] == "finished"


def test_an_answer_without_a_growing_card_gets_one_at_the_end(asked: Asked) -> None:
    asked.send()
    assert asked.card()["state"] == "finished"
    assert [len(asked.calls(path)) for path in (CREATE, STREAM, SESSION)] == [1, 2, 0]


def test_a_last_word_said_again_shows_nothing_twice(asked: Asked) -> None:
    asked.send()
    again = asked.send(earlier_tries=1, resend=True)
    assert again == next(iter(asked.cards()))
    assert len(asked.calls(STREAM, accepted=True)) == 1
    assert asked.calls(SESSION) == []


def test_a_card_that_ended_is_not_followed_by_a_message(asked: Asked) -> None:
    asked.send("as it was rendered before")
    asked.send("as it is rendered now", earlier_tries=1)
    assert asked.card()["values"]["content"] == "as it was rendered before"
    assert asked.calls(SESSION) == []


@pytest.mark.parametrize("action", ["accept_then_cut", "drop", "silence"])
@pytest.mark.parametrize("path", [CREATE, STREAM])
def test_a_lost_answer_of_any_step_is_safe_to_repeat(asked: Asked, action: str, path: str) -> None:
    grown = asked.begin()
    asked.dingtalk.control.wait_for(path=CREATE)
    grown.end()
    if path == CREATE:
        asked.dingtalk.control.reset()
    options = {"seconds": 5} if action == "silence" else {}
    asked.dingtalk.control.fault(action, path, **options)
    met = Until(lambda: asked.dingtalk.control.faults()[0]["hits"])
    with pytest.raises(Unavailable) as raised:
        asked.bot.send(asked.outgoing("the whole answer"), met if action == "silence" else Deadline(60))
    assert raised.value.kind != "ambiguous"
    asked.send(earlier_tries=1)
    assert asked.card()["values"]["content"] == "the whole answer"
    assert len(asked.calls(STREAM, accepted=True, finalize=True)) == 1
    assert asked.calls(SESSION) == []


def test_without_knowing_it_is_not_said_again(asked: Asked) -> None:
    asked.send()
    quota = {"code": "Forbidden.AccessDenied.ApiCountLimitForOrg", "message": "quota"}
    asked.dingtalk.control.fault("status", STREAM, status=403, body=quota)
    with pytest.raises(Unavailable) as raised:
        asked.send(earlier_tries=1)
    assert raised.value.kind == "ambiguous"
    assert asked.calls(SESSION) == []


def test_a_replay_gets_a_card_of_its_own(asked: Asked) -> None:
    asked.send()
    asked.send(answer_key=f"{asked.id}-2")
    assert len(asked.cards()) == 2


# giving way


@pytest.mark.parametrize(
    ("code", "status"),
    [("param.templateNotExist", 400), ("Forbidden.AccessDenied.AccessTokenPermissionDenied", 403), ("new.code", 400)],
)
def test_a_card_that_cannot_be_created_gives_way_to_a_message(asked: Asked, code: str, status: int) -> None:
    refusal = {"code": code, "message": "no"}
    asked.dingtalk.control.fault("status", CREATE, status=status, body=refusal, always=True)
    live = asked.begin()
    grow(live, words=20, until=lambda: asked.calls(CREATE))
    live.end()
    assert len(asked.calls(CREATE)) == 1
    assert asked.send() == ""
    assert [one["text"] for one in asked.calls(SESSION, accepted=True)] == ["the whole answer"]


def test_an_undelivered_card_gives_way_to_a_message(asked: Asked) -> None:
    result = {"outTrackId": "x", "deliverResults": [{"success": False, "errorMsg": "no"}]}
    asked.dingtalk.control.fault("status", CREATE, status=200, body={"success": True, "result": result})
    asked.send()
    assert len(asked.calls(SESSION, accepted=True)) == 1


def test_a_card_that_refuses_the_text_refers_to_the_message_below(asked: Asked) -> None:
    live = asked.begin()
    grow(live, words=20, until=lambda: asked.calls(STREAM))
    live.end()
    refusal = {"code": "param.stream.content", "message": "too large"}
    asked.dingtalk.control.fault("status", STREAM, status=400, body=refusal, contains="the whole answer")
    asked.send()
    assert [one["text"] for one in asked.calls(SESSION, accepted=True)] == ["the whole answer"]
    assert asked.card()["state"] == "failed"
    assert asked.card()["values"]["content"] == say("dingtalk.card_below", "zh")


def test_a_busy_card_service_is_asked_again_before_giving_way(asked: Asked) -> None:
    busy = {"code": "system.busy", "message": "busy"}
    asked.dingtalk.control.fault("status", CREATE, status=500, body=busy, always=True)
    with pytest.raises(Unavailable):
        asked.send()
    asked.send(earlier_tries=1)
    assert len(asked.calls(SESSION, accepted=True)) == 1


def test_an_apology_ends_a_begun_card(asked: Asked) -> None:
    live = asked.begin()
    grow(live, words=20, until=lambda: asked.calls(CREATE))
    live.end()
    asked.send("sorry", apology=True)
    assert asked.card()["state"] == "failed"
    assert asked.card()["values"]["content"] == "sorry"
    assert asked.calls(SESSION) == []


def test_a_begun_card_can_be_given_up_and_none_is_begun_for_that(asked: Asked) -> None:
    target = LiveTarget(asked.id, f"{asked.id}-1", "c", "one_to_one", "user01", asked.message.address)
    asked.bot.abandon_live(target, "stopped", Deadline(60))
    assert asked.cards() == {}
    live = asked.begin()
    grow(live, words=20, until=lambda: asked.calls(CREATE))
    live.end()
    asked.bot.abandon_live(target, "stopped", Deadline(60))
    assert (asked.card()["state"], asked.card()["values"]["content"]) == ("failed", "stopped")
    asked.dingtalk.control.fault("drop", STREAM)
    asked.bot.abandon_live(target, "stopped", Deadline(60))


def test_people_outside_the_organisation_get_messages(dingtalk: Emulator) -> None:
    asked = Asked(dingtalk, changes={"senderStaffId": None})
    target = LiveTarget(1, "1-1", "c", "one_to_one", "user01", asked.message.address)
    assert asked.bot.begin_live(target, Deadline(60)) is None
    asked.send()
    assert asked.cards() == {}
    assert len(asked.calls(SESSION, accepted=True)) == 1


@pytest.mark.parametrize("settings", [{"enable_stream_reply": False}, {"card_template_id": ""}])
def test_cards_are_used_only_when_asked_for(dingtalk: Emulator, settings: dict[str, Any]) -> None:
    asked = Asked(dingtalk, **settings)
    assert not asked.bot.capabilities.live
    asked.send()
    assert asked.cards() == {}


# what a card looks like


def test_in_a_group_the_card_names_the_asker(dingtalk: Emulator) -> None:
    asked = Asked(dingtalk, changes={"conversationType": "2", "conversationId": "cidGROUP=="})
    asked.send()
    assert asked.card()["conversation"] == "cidGROUP=="


def test_public_templates_are_told_their_state_beside_the_stream(dingtalk: Emulator) -> None:
    asked = Asked(dingtalk, card_template_id=AI_TEMPLATE)
    live = asked.begin()
    text = grow(live, words=40, until=lambda: asked.calls(STREAM))
    live.end()
    asked.send(text)
    assert [one["values"].get("flowStatus") for one in asked.calls(UPDATE)] == ["2", "3"]
    assert asked.card()["values"] == {"msgContent": text, "flowStatus": "3"}
    assert asked.card()["state"] == "finished"


def test_the_name_of_a_card_tells_the_message_and_fits(asked: Asked) -> None:
    name = asked.send()
    assert len(name) <= 64
    assert message_of(name) == asked.id
    assert message_of("somebody else's") is None
    big = replace(asked.outgoing("x"), message_id=2**62)
    assert len(asked.bot.send(big, Deadline(60))) <= 64
