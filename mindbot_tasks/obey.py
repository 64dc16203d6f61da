"""What each chat command does, and what the bot then says; in the transaction that saves that as the answer."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from mindbot_tasks import documents, remembering
from mindbot_tasks.alerting import answering
from mindbot_tasks.chat import budgets as saying
from mindbot_tasks.chat.commands import ADMIN_ONLY, Command, Name
from mindbot_tasks.core.settings import BotSettings, Settings
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.llm import catalogue
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import State
from mindbot_tasks.platforms import registry
from mindbot_tasks.stores import budgets, conversations, usage, workers
from mindbot_tasks.stores.claims import OUR_OWN_WORDS, Claim
from mindbot_tasks.stores.conversations import Unfinished
from mindbot_tasks.stores.spending import Whose

_HISTORY_PAIRS = 5
_SHOWN_CHARS = 160
_SHOWN_WAITING = 5
#: what people write to get the configured models back
_DEFAULT = frozenset({"default", "auto", "默认", "自动"})


def obey(connection: Connection, command: Command, held: Claim, settings: Settings, lang: Lang) -> Answer:
    """Do what the command says; returns what to answer."""
    bot = settings.bot(held.platform, held.bot)
    return in_own_words(_obey(connection, command, held, settings, bot, lang))


def in_own_words(text: str) -> Answer:
    """An answer that no model gave, and that goes along with no later question."""
    return Answer(text=text, provider=OUR_OWN_WORDS)


def _obey(
    connection: Connection, command: Command, held: Claim, settings: Settings, bot: BotSettings, lang: Lang
) -> str:
    is_admin = registry.is_admin(settings, held.platform, held.bot, held.sender_ref)
    if command.name in ADMIN_ONLY and not is_admin:
        return say("commands.admins_only", lang, word=command.word)
    match command.name:
        case Name.NEW | Name.RESET:
            conversations.forget_before(connection, held.message_id)
            return say("commands.new", lang)
        case Name.STOP:
            return _stopped(held, lang)
        case Name.STATUS:
            waiting = conversations.unfinished_before(connection, held.conversation_id, held.message_id)
            chosen = conversations.chosen_model(connection, held.conversation_id) or bot.model
            return _status(waiting, chosen, lang)
        case Name.HISTORY:
            pairs = conversations.last_exchanges(
                connection, held.conversation_id, held.message_id, limit=_HISTORY_PAIRS
            )
            return _history(pairs, lang)
        case Name.REMEMBER:
            return remembering.remember(connection, command.argument, held, settings, lang)
        case Name.FACTS:
            return remembering.listed(connection, held, settings, lang)
        case Name.FORGET:
            return remembering.forget(connection, command.argument, held, lang)
        case Name.MODEL:
            return _model(connection, command.argument, held, settings, bot, lang)
        case Name.ACK:
            return _acknowledge(connection, command.argument, held, lang)
        case Name.LEARN:
            return documents.learn(connection, command.argument, settings, bot, lang)
        case Name.USAGE:
            return _usage(connection, held, settings, lang, is_admin=is_admin)
        case Name.HELP:
            return _help(lang, is_admin=is_admin)
        case Name.UNKNOWN:
            return f"{say('commands.unknown', lang, word=command.word)}\n\n{_help(lang, is_admin=is_admin)}"


def _help(lang: Lang, *, is_admin: bool) -> str:
    return "\n".join([say("commands.help", lang), *([say("commands.help_admin", lang)] if is_admin else [])])


def _stopped(held: Claim, lang: Lang) -> str:
    """What the door has done when the command came in; by now there is nothing left before it."""
    count, late = held.classification.get("stopped", 0), held.classification.get("late", 0)
    if not count:
        return say("commands.nothing_to_stop", lang)
    if count == late:
        return say("commands.stopped_late", lang)
    return say("commands.stopped", lang) if count == 1 else say("commands.stopped_many", lang, count=count)


def _status(waiting: Sequence[Unfinished], chosen: str, lang: Lang) -> str:
    lines = [say("commands.status_idle", lang)]
    if waiting:
        lines = [say("commands.status_ahead", lang, count=len(waiting))]
        lines += [_status_line(one, lang) for one in waiting[:_SHOWN_WAITING]]
        if len(waiting) > _SHOWN_WAITING:
            lines.append(say("commands.status_more", lang, count=len(waiting) - _SHOWN_WAITING))
    model = chosen or say("commands.default_model", lang)
    return "\n".join([*lines, "", say("commands.status_model", lang, model=model)])


def _status_line(one: Unfinished, lang: Lang) -> str:
    # an answer that waits for its turn to be sent is worth telling even while nobody holds it
    what = str(one.state) if one.working or one.state in (State.ANSWERED, State.REPLYING) else "waiting"
    age_s = max(0, one.age_ms // 1000)
    return say("commands.status_line", lang, id=one.message_id, what=say(f"commands.state_{what}", lang), age_s=age_s)


def _history(pairs: Sequence[tuple[str, str]], lang: Lang) -> str:
    if not pairs:
        return say("commands.no_history", lang)
    told = [
        say("commands.history_pair", lang, question=_short(question), answer=_short(answer))
        for question, answer in pairs
    ]
    return "\n\n".join([say("commands.history", lang), *told])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[:_SHOWN_CHARS]}…"


def _model(connection: Connection, wanted: str, held: Claim, settings: Settings, bot: BotSettings, lang: Lang) -> str:
    listed = _choices(settings, lang)
    if not wanted:
        chosen = conversations.chosen_model(connection, held.conversation_id) or bot.model
        return say("commands.models", lang, model=chosen or say("commands.default_model", lang), models=listed)
    if wanted.casefold() in _DEFAULT:
        conversations.choose_model(connection, held.conversation_id, None)
        return say("commands.model_default", lang)
    found = catalogue.models_called(settings, wanted)
    if not found:
        return say("commands.model_unknown", lang, name=_short(wanted), models=listed)
    if len(found) > 1:
        among = ", ".join(f"`{name}`" for name in found)
        return say("commands.model_ambiguous", lang, name=_short(wanted), models=among)
    conversations.choose_model(connection, held.conversation_id, found[0])
    return say("commands.model_set", lang, model=found[0])


def _choices(settings: Settings, lang: Lang) -> str:
    """Everybody who can be chosen, and of the other providers why they cannot."""
    there_are = ", ".join(f"`{name}`" for name in catalogue.choices(settings)) or say("commands.no_models", lang)
    unbuilt = catalogue.not_built(settings)
    off = [name for name, provider in settings.providers.items() if not provider.enabled]
    lines = [there_are]
    if unbuilt:
        named = ", ".join(f"`{path.removeprefix('providers.')}`" for path in unbuilt)
        lines.append(say("commands.models_unbuilt", lang, names=named))
    if off:
        lines.append(say("commands.models_off", lang, names=", ".join(f"`{name}`" for name in off)))
    return "\n".join(lines)


def _usage(connection: Connection, held: Claim, settings: Settings, lang: Lang, *, is_admin: bool) -> str:
    """Administrators see the budgets of all; what others have used is not everybody's business."""
    whose = Whose(held.platform, held.bot, held.sender_ref)
    standings = budgets.standings(connection, settings, whose)
    return saying.told(
        usage.used(connection, (), whose=whose),
        [one for one in standings if is_admin or one.scope == "user"],
        lang,
        budgets.left_of_day_s(settings),
        currency=settings.budgets.currency,
    )


def _acknowledge(connection: Connection, alert: str, held: Claim, lang: Lang) -> str:
    if not alert:
        return say("commands.ack_which", lang)
    done = acknowledge_alert(connection, alert, by=f"{held.platform}:{held.sender_ref}")
    return say("commands.ack_done" if done else "commands.ack_none", lang, alert=_short(alert))


def acknowledge_alert(connection: Connection, alert: str, *, by: str) -> bool:
    """Acknowledge a firing alert; False if there is none with this code, or somebody was quicker."""
    now = workers.database_time(connection)
    return answering.acknowledge(connection, alert, by=by, via="chat", now=now) is not None
