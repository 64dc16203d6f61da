"""What of a conversation goes to which answerer: history, background, and what was said with others meanwhile. Pure.

A chat model gets the history with every question. A Dify app or a Coze bot keeps its own conversation, so it gets only
what it cannot know: what was said with others since its last turn, marked with who said it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.llm.base import Question
from mindbot_tasks.llm.tokens import estimate, trim
from mindbot_tasks.llm.tools_told import by_number, used
from mindbot_tasks.model.answer import Turn
from mindbot_tasks.stores.remembered import Fact

#: the answerer that has tools itself
_AGENT = "agent"
#: what the role marks, a system prompt and our own estimate may be off by
_SLACK_TOKENS = 300
#: of what was said, for one that keeps its own conversation
_MOST_CHARS = 6000


def told_to(name: str, question: Question, session_id: str, *, room_tokens: int = 0) -> Question:
    """The question as this answerer gets it. room_tokens: what fits into the model beside its answer; 0: unknown."""
    question = replace(question, session_id=session_id) if session_id else question
    own = question.history
    if not question.sharing and any(turn.source for turn in own):
        own = tuple(turn for turn in own if _side(turn.source) == _side(name))
    if not question.summary and not question.facts and own is question.history and not room_tokens:
        background = _about(name, own, question.language)
        return _with_history(question, own, background) if background else question
    summary = question.summary if question.sharing or _side(name) == "models" else ""
    background = _join(
        _facts(question.facts, question.language),
        _summary(summary, question.language),
        _about(name, own, question.language),
    )
    if room_tokens:
        left = room_tokens - estimate(question.text) - estimate(background) - _SLACK_TOKENS
        own = trim(own, left)
    return _with_history(question, own, background)


def _with_history(question: Question, own: Sequence[Turn], background: str) -> Question:
    if background:
        return replace(question, history=(Turn("system", _framed(background, question.language)), *own))
    return replace(question, history=tuple(own))


def _about(name: str, own: Sequence[Turn], language: Lang) -> str:
    """What the turns do not say: who gave an answer, and with which tools. The agent gets the calls as such."""
    return _join(_origins(name, own, language), "" if name == _AGENT else _unframed(by_number(own, language)))


def _side(source: str) -> str:
    """Each workflow is by itself; models and the agent, which share one history anyway, are one."""
    return source if source.startswith("workflow:") else "models"


def with_news(question: Question, name: str, *, knows: bool) -> str:
    """The question for one that keeps its own conversation, after what it does not know.

    knows: its conversation goes on; without one it needs everything, even its own part.
    """
    facts, sharing = question.facts, question.sharing
    said = [turn for turn in question.history if turn.role != "system"]
    own = [turn for turn in said if turn.source == name]
    if not knows:
        return _after(question, said if sharing else own, facts, question.summary if sharing else "")
    last = max((turn.message_id for turn in own), default=0)
    others = [turn for turn in said if turn.source != name and turn.message_id > last] if sharing else []
    # no turn of its own in sight: what was summed up may be news as well
    summary = question.summary if sharing and not last else ""
    return _after(question, others, [fact for fact in facts if fact.message_id > last], summary)


def _after(question: Question, turns: Sequence[Turn], facts: Sequence[Fact], summary: str) -> str:
    """The question, and before it what this answerer does not know."""
    language = question.language
    background = _join(_facts(facts, language), _summary(summary, language), _said(turns, language))
    return f"{_framed(background, language)}\n\n{question.text}" if background else question.text


def _facts(facts: Sequence[Fact], language: Lang) -> str:
    if not facts:
        return ""
    return "\n".join([say("context.facts", language), *(f"- {_one_line(fact.text)}" for fact in facts)])


def _summary(summary: str, language: Lang) -> str:
    return f"{say('context.summary', language)}\n{_unframed(summary)}" if summary else ""


def _said(turns: Sequence[Turn], language: Lang) -> str:
    if not turns:
        return ""
    lines = [say("context.said", language)]
    for turn in turns:
        who = say("context.user", language) if turn.role == "user" else _called(turn.source, language)
        lines.append(f"{who}: {_unframed(turn.text)}")
        if calls := used(turn, language):
            lines.append(say("context.tools_line", language, calls=_unframed(calls)))
    heading, text = lines[0], "\n".join(lines[1:])
    return f"{heading}\n{text if len(text) <= _MOST_CHARS else '…' + text[-_MOST_CHARS:]}"


def _origins(name: str, turns: Sequence[Turn], language: Lang) -> str:
    """Which of the assistant's turns came from another side; "" if all are its own."""
    here = _side(name)
    answers = [turn for turn in turns if turn.role == "assistant"]
    others = [(number, turn) for number, turn in enumerate(answers, 1) if turn.source and _side(turn.source) != here]
    if not others:
        return ""
    told = ", ".join(
        say("context.origin", language, number=number, who=_called(turn.source, language)) for number, turn in others
    )
    return say("context.origins", language, told=told)


def _called(source: str, language: Lang) -> str:
    kind, _, name = source.partition(":")
    return (
        say("context.workflow", language, name=name)
        if kind == "workflow"
        else name or kind or say("context.assistant", language)
    )


def _framed(background: str, language: Lang) -> str:
    return f"{say('context.begin', language)}\n{background}\n{say('context.end', language)}"


def _unframed(text: str) -> str:
    """So that nobody ends the frame from inside."""
    return text.replace("[[", "[ [").replace("]]", "] ]")


def _one_line(text: str) -> str:
    return _unframed(" ".join(text.split()))


def _join(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)
