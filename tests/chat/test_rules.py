"""Whom a bot answers: a table of settings and messages, loops, and echoes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mindbot_tasks.chat import rules
from mindbot_tasks.chat.commands import Name
from mindbot_tasks.chat.loops import LoopBreaker
from mindbot_tasks.core.settings import BotSettings
from mindbot_tasks.model.answer import Turn
from mindbot_tasks.model.message import Message, Part


def said(text: str = "hello", *, group: bool = True, **fields: Any) -> Message:
    return Message(
        platform="chat",
        bot="default",
        external_id="m1",
        conversation_id=fields.pop("conversation", "g1" if group else "c1"),
        conversation_kind="group" if group else "one_to_one",
        sender_id=fields.pop("sender", "u1"),
        sender_name="Somebody",
        parts=(Part("text", text),),
        address={},
        **fields,
    )


PREFIX = {"answer_when": "prefix", "prefix": "bot,"}
REGEX = {"answer_when": "regex", "pattern": r"\bdeploy"}


@pytest.mark.parametrize(
    ("settings", "message", "answered"),
    [
        ({}, said(), True),
        ({}, said(addressed=False), False),
        ({}, said(group=False), True),
        ({"answer_when": "always"}, said(addressed=False), True),
        (PREFIX, said("bot, what is 6*7?"), True),
        (PREFIX, said("  BOT, what is 6*7?", addressed=False), True),
        (PREFIX, said("what is a bot, please?"), False),
        (PREFIX, said("what is 6*7?", group=False), True),
        (PREFIX, said("/help"), True),
        (PREFIX, said("/help", addressed=False), False),
        (PREFIX, said("bot, /help", addressed=False), True),
        (REGEX, said("who DEPLOYED that?", addressed=False), True),
        (REGEX, said("hello"), False),
        (REGEX, said("/status"), True),
        ({"deny": ["u1"]}, said(), False),
        ({"deny": ["g1"]}, said(), False),
        ({"deny": ["u1"], "allow": ["g1"]}, said(), False),
        ({"deny": ["u2"]}, said(), True),
        ({"allow": ["u1"]}, said(), True),
        ({"allow": ["g1"]}, said(), True),
        ({"allow": ["u2"]}, said(), False),
        ({"allow": ["u2"]}, said(group=False), False),
        ({}, said(from_bot=True), False),
        ({"answer_when": "always"}, said(from_bot=True, group=False), False),
        ({"ignore_bots": False}, said(from_bot=True), True),
    ],
)
def test_whom_a_bot_answers(settings: dict[str, Any], message: Message, answered: bool) -> None:
    assert (rules.judge(message, BotSettings(**settings)).ignored == "") is answered


def test_the_reason_tells_why_somebody_is_not_answered() -> None:
    assert rules.judge(said(addressed=False), BotSettings()).ignored == rules.NOT_ADDRESSED
    assert rules.judge(said(), BotSettings(deny=["u1"])).ignored == "on the deny list"


@pytest.mark.parametrize("settings", [{}, {"answer_when": "always"}, PREFIX, REGEX])
def test_a_command_is_one_whatever_the_bot_listens_to(settings: dict[str, Any]) -> None:
    command = rules.judge(said("@bot /stop"), BotSettings(**settings)).command
    assert command is not None
    assert command.name is Name.STOP


def test_the_prefix_is_no_part_of_the_question() -> None:
    bot = BotSettings(answer_when="prefix", prefix="小助手")
    assert rules.without_prefix("小助手，今天几号？", bot) == "今天几号？"
    assert rules.without_prefix("今天几号？", bot) == "今天几号？"
    assert rules.without_prefix("小助手", BotSettings()) == "小助手"


@pytest.mark.parametrize("settings", [{"answer_when": "prefix"}, {"answer_when": "regex"}, {"pattern": "(a"}])
def test_a_rule_without_what_it_needs_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BotSettings(**settings)


def test_the_same_again_and_again_is_a_loop() -> None:
    breaker = LoopBreaker(most=3, within_s=60)
    told = [breaker.goes_round(("u1",), "thanks", f"m{number}", float(number)) for number in range(5)]
    assert told == [False, False, False, True, True]
    assert not breaker.goes_round(("u1",), "thank you", "m9", 6.0), "it says something else"
    assert not breaker.goes_round(("u2",), "thanks", "m10", 6.0), "it is somebody else"


def test_a_message_that_is_delivered_again_and_again_is_no_loop() -> None:
    breaker = LoopBreaker(most=3, within_s=60)
    assert not any(breaker.goes_round(("u1",), "thanks", "m1", float(number)) for number in range(20))


def test_the_same_said_now_and_then_is_no_loop() -> None:
    breaker = LoopBreaker(most=3, within_s=60)
    assert not any(breaker.goes_round(("u1",), "thanks", f"m{number}", number * 30.0) for number in range(20))


def turns(*texts: str) -> tuple[Turn, ...]:
    return tuple(Turn("assistant" if number % 2 else "user", text) for number, text in enumerate(texts))


@pytest.mark.parametrize(
    ("history", "text", "echo"),
    [
        ((), "hello", False),
        (turns("hello", "Hello!", "Hello!", "Hi again!"), "Hi again!", True),
        (turns("hello", "Hello!", "how are you?", "Fine."), "Fine.", False),
        (turns("hello", "Hello!"), "Hello!", False),
        (turns("a", "b", "b", "c"), "d", False),
    ],
)
def test_who_only_repeats_us_twice_running_is_an_echo(history: tuple[Turn, ...], text: str, echo: bool) -> None:
    assert rules.is_echo(text, history) is echo
