"""How an answer looks in WeChat: plain text in few messages, as only five come through after each of the customer's."""

from __future__ import annotations

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Part
from mindbot_tasks.platforms.base import Capabilities
from mindbot_tasks.platforms.parts import divide
from mindbot_tasks.platforms.text import Limit, language_of, split_text

LIMIT = Limit(chars=2048, size=2048)


def render(answer: Answer, capabilities: Capabilities, *, max_parts: int, lang: Lang) -> list[Part]:
    """At most `max_parts` messages, the words first, then files; and the transfer to a person after them."""
    text, files = divide(answer, capabilities, lang)
    pieces = [piece.strip() for piece in split_text(text, LIMIT) if piece.strip()]
    files = files[: max_parts - 1 if pieces else max_parts]
    most = max_parts - len(files)
    if len(pieces) > most:
        notice = "\n" + say("person.cut", language_of(text))
        last = split_text("".join(pieces[most - 1 : most + 1]), LIMIT.without(notice))[0]
        pieces = [*pieces[: most - 1], last.rstrip() + notice]
    parts = [*(Part("text", piece) for piece in pieces), *files]
    return parts + [part for part in answer.parts if part.kind == "transfer"]
