"""Whom a bot answers, and when. Pure: a message and the bot's settings come in, a judgement goes out."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from mindbot_tasks.chat import commands
from mindbot_tasks.chat.commands import Command, Name
from mindbot_tasks.core.settings import BotSettings
from mindbot_tasks.model.answer import Turn
from mindbot_tasks.model.message import Message

NOT_ADDRESSED = "not addressed to the bot"
#: so many exchanges in which the asker only repeats what the bot has just said are a conversation of two programs
ECHOES = 2
_MOST_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a message."""

    ignored: str = ""  #: why it is not answered; "": it is
    command: Command | None = None


def judge(message: Message, bot: BotSettings) -> Judgement:
    """Whether this bot answers this message."""
    if bot.ignore_bots and message.from_bot:
        return Judgement("the sender is a program")
    if bot.deny and (message.sender_id in bot.deny or message.conversation_id in bot.deny):
        return Judgement("on the deny list")
    if bot.allow and message.sender_id not in bot.allow and message.conversation_id not in bot.allow:
        return Judgement("not on the allow list")
    if message.conversation_kind == "group" and bot.answer_when != "mention":
        return _in_group(message, bot)
    if not message.addressed:
        return Judgement(NOT_ADDRESSED)
    return Judgement(command=commands.parse(said(message)))


def _in_group(message: Message, bot: BotSettings) -> Judgement:
    text = said(message)
    if bot.answer_when == "always":
        return Judgement(command=commands.parse(text))
    command = commands.parse(without_prefix(text, bot))
    # who mentions the bot to say "/help" means it, whatever else it listens to
    if command is not None and command.name is not Name.UNKNOWN and message.addressed:
        return Judgement(command=command)
    if bot.answer_when == "prefix":
        return Judgement(command=command) if _begins(text, bot.prefix) else Judgement("without the prefix")
    found = _pattern(bot.pattern).search(text[:_MOST_CHARS]) is not None
    return Judgement(command=command) if found else Judgement("does not match the pattern")


def said(message: Message) -> str:
    """The sender's own words."""
    return commands.said((part.kind, part.text) for part in message.parts)


def without_prefix(text: str, bot: BotSettings) -> str:
    """The text as it is meant: the prefix only calls the bot."""
    if bot.answer_when != "prefix" or not _begins(text, bot.prefix):
        return text
    return text.lstrip()[len(bot.prefix) :].lstrip(" \t\n:：,，")


def _begins(text: str, prefix: str) -> bool:
    return text.lstrip()[: len(prefix)].casefold() == prefix.casefold()


@functools.lru_cache(maxsize=100)
def _pattern(pattern: str) -> Any:
    import re2  # only a process that has patterns pays for it

    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return re2.compile(pattern, options)


def is_echo(text: str, history: tuple[Turn, ...]) -> bool:
    """Whether the asker only says our own answers back to us, again and again."""
    ours = [turn.text.strip() for turn in history if turn.role == "assistant"][-ECHOES:]
    theirs = [*(turn.text.strip() for turn in history if turn.role == "user"), text.strip()][-ECHOES:]
    return len(ours) == ECHOES and bool(text.strip()) and ours == theirs
