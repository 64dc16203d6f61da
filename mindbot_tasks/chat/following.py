"""What a message of a conversation asks for, in words that can be looked up: "and in Chinese?" has none; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mindbot_tasks.chat.language import Language
from mindbot_tasks.model.answer import Turn

Kind = Literal["alone", "form", "topic", "pointing", "courtesy"]

_BACK = 4  #: questions that may be follow-ups of each other
_LONGEST = 400

#: whoever says nothing else wants nothing to be looked up
_COURTESY_WORDS = (
    r"(?>thank you|thanks|thx|(?:so|very) much|a lot|many|okay|ok|great|good (?:morning|evening|night)|good|nice"
    r"|perfect|cool|fine|got it|i see|understood|alright|sure|yes|no|yeah|yep|nope|hi|hello|hey|bye|goodbye"
    r"|that (?:helps|helped|works|worked)|well done"
    r"|谢谢你们?|谢谢您|谢谢|多谢|感谢|谢啦|好的|好吧|好|嗯|哦|行|可以|知道了|明白了?"
    r"|懂了|了解|收到|没问题|没事|不用了?|是的?|对的?"
    r"|你们?好|您好|早上好|晚上好|晚安|再见|拜拜|辛苦了|了|啊|呀|啦|哈)[\s,.!~，。！～、]*+"
)
_COURTESY = re.compile(rf"(?:{_COURTESY_WORDS})++$", re.I)
#: "ok, and how do I stop it?"
_LEAD_IN = re.compile(r"(?:ok|okay|thanks|thank you|great|好的|好|谢谢|明白了?|知道了)[\s]*[,.!，。！]\s*", re.I)

#: what an answer shall look like: whoever says nothing else means the question before
_LANGUAGES = (
    "english|chinese|mandarin|german|french|japanese|korean|spanish|russian|italian|portuguese|arabic"
    "|中文|汉语|国语|普通话|英文|英语|德语|法语|日语|日文|韩语|韩文|西班牙语|俄语|俄文"
)
_FORM_SIGNS = re.compile(
    rf"\b(?:{_LANGUAGES}|short(?:er|ly)?|brief(?:ly|er)?|long(?:er)?|simpl(?:er|y|e)|details?|detailed|elaborate|again"
    r"|repeat|rephrase|reword|rewrite|translat(?:e|ion|ed)|summari[sz]e|summary|tl;?dr|bullet(?:s| points)?|table|list"
    r"|step by step|steps|examples?|go on|continue|more|sentences?|understand|mean|eli5)\b"
    rf"|{_LANGUAGES}|简单|简短|简洁|短|长|详细|详尽|具体|展开|总结|概括|再|重新|重复|换|翻译|例子|示例|举例|继续|接着|往下|列表"
    "|列出|表格|要点|步骤|一句话|听不懂|没听懂|不明白|没明白|不懂|没懂|什么意思|通俗",
    re.I,
)
_FORM_FILLER = re.compile(
    r"\b(?:and|but|so|then|now|ok|please|pls|can|could|would|will|you|i|we|me|us|that|it|this|them|the|a|an|one|in|into|to"
    r"|as|with|by|of|for|at|all|once|say|tell|give|show|put|write|make|answer|reply|explain|speak|use|using|do|don'?t|not"
    r"|didn'?t|want|need|like|what|does|did|be|is|have|some|any|few|just|only|bit|little|points?|words?|version|way|language"
    r"|about|there|anything|else|what about|how about|in|instead|rather|too|also|kindly|let|know)\b"
    r"|[请麻烦能可以用成改说讲写答回复解释下遍点些一两三几个句话举给我你您它这那其就来把吗吧呢么嘛啊呀好的得了要想让看不没多少更]|刚才|上面"
    r"|方式|形式|语言|版本?|怎么",
    re.I,
)
#: (most words, signs): it says something of its own, in place of, or besides, what was said before
_ADDING = tuple(
    (most, re.compile(signs, re.I))
    for most, signs in (
        (12, r"^\s*(?:and|but|or|so|then|also|what about|how about|what else|what if)\b"),
        (12, r"^\s*(?:那|还有|然后|另外|再说|所以|但是|但|比如|如果|要是)"),
        (6, r"呢\s*[?？]?\s*$"),
    )
)
#: (most words, signs): it points at something that was said before; in long questions such words point within
_POINTING = tuple(
    (most, re.compile(signs, re.I))
    for most, signs in (
        (12, r"\b(?:the|your) (?:first|second|third|fourth|fifth|1st|2nd|3rd|last|next|previous|other|same"
             r"|latter|former)(?: (?:one|step|point|item|option|part|way|command|example|method|thing|sentence)s?)?\b"),
        (4, r"^\s*(?:why|how so|which one|really)\b"),
        (3, r"^\s*(?:who|where|when|since when|how|how (?:long|much|many|often))\s*[?.]*$"),
        (8, r"\b(?:it|its|they|them|their|those|these|this one|that one)\b|\b(?:that|this|so|do that)\s*[?.]?$"),
        (12, r"它|这个|那个|这些|那些|这样|那样|这种|那种|前者|后者|上面|上述|刚才|前面"
             r"|第[一二三四五六七八九十\d]+[个种条点步项]"),
        (5, r"^\s*(?:为什么|为何)|的\s*[?？]\s*$"),
        (4, r"^\s*(?:怎么说|怎么[办弄做]|多久|多少|谁|什么时候|哪里)\s*[?？。]*$"),
    )
)  # fmt: skip
#: "where does MindBot keep its data": it points at a name that stands before it
_OWN_NAME = re.compile(r"\S\s+[A-Z][A-Za-z0-9]+\b.*\b(?:it|its|they|them|their)\b")
#: words that point, or lead in, but cannot be looked up
_EMPTY = re.compile(
    r"\b(?:what about|how about|what else|and|but|or|so|then|also|the|one|it|its|they|them|that|those|these|this|there"
    r"|please|why|first|second|third|fourth|fifth|1st|2nd|3rd|step|point|item|option|really)\b"
    rf"|\b(?:in|into) (?:{_LANGUAGES})\b|用(?:{_LANGUAGES})(?:说|讲|回答)?"
    r"|^\s*(?:那么?|还有|然后|另外|再说|所以|但是?|比如|如果|要是)|它们?|这个|那个|这些|那些|这样|那样|这种|那种|上面|上述|刚才|前面"
    r"|为什么|为何|第[一二三四五六七八九十\d]+[个种条点步项]|自己的?|呢|吗|的\s*[?？]\s*$",
    re.I,
)
_ORDINALS = {
    word: place
    for place, words in enumerate(
        ("first 1st 第一 第1", "second 2nd 第二 第2", "third 3rd 第三 第3", "fourth 4th 第四 第4", "fifth 5th 第五 第5")
    )
    for word in words.split()
}
_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)、])\s+(.{2,200})$", re.M)
_WORD = re.compile(r"[a-z0-9][a-z0-9_.'-]*|[\u4e00-\u9fff]", re.I)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look up for a message."""

    kind: Kind  #: "courtesy": nothing
    own: str = ""  #: what it says itself
    before: tuple[str, ...] = ()  #: what the questions say that it follows, newest first
    language: Language | None = None  #: in which the answer is asked for, where it says so

    @property
    def query(self) -> str:
        """All of it."""
        return " ".join(part for part in (self.own, *self.before) if part)[: 3 * _LONGEST]


def wanted(text: str, history: Sequence[Turn]) -> Wanted:
    """What to look up for this message of a conversation.

    >>> before = (Turn("user", "How do I tune queues?"), Turn("assistant", "..."))
    >>> wanted("and in Chinese?", before).query, wanted("what about Redis?", before).query, wanted("thanks!", ()).query
    ('How do I tune queues?', 'Redis How do I tune queues?', '')
    """
    text = text.strip()
    if courteous := _LEAD_IN.match(text):
        text = text[courteous.end() :] or text
    kind = _kind(text)
    if kind in ("alone", "courtesy"):
        return Wanted(kind, text if kind == "alone" else "")
    asked = [at for at, turn in enumerate(history) if turn.role == "user" and _says_something(turn.text)]
    if not asked:
        return Wanted("alone", text)
    language = _language(text)
    if kind == "form":
        last = asked[-1]
        return replace(wanted(history[last].text, history[:last]), language=language)
    before = []
    for at in reversed(asked[-_BACK:]):
        earlier = history[at].text.strip()[:_LONGEST]
        follows = _kind(earlier) in ("topic", "pointing")
        before.append(_said(earlier) if follows else earlier)
        if not follows:
            break
    own = " ".join(part for part in (_said(text), _item(text, history)) if part)
    return Wanted(kind, own, tuple(part for part in before if part), language)


def _kind(text: str) -> Kind:
    """What kind of message this is, if something was asked before it."""
    if _COURTESY.match(text):
        return "courtesy"
    if _is_form(text):
        return "form"
    size = _size(text)
    if any(size <= most and signs.search(text) for most, signs in _POINTING) and not _OWN_NAME.search(text[:_LONGEST]):
        return "pointing"
    if any(size <= most and signs.search(text) for most, signs in _ADDING):
        return "topic" if _WORD.search(_said(text)) else "pointing"
    return "alone"


def _is_form(text: str) -> bool:
    if len(text) > 120 or not _FORM_SIGNS.search(text):
        return False
    return not _WORD.search(_FORM_FILLER.sub(" ", _FORM_SIGNS.sub(" ", text)))


def _says_something(text: str) -> bool:
    return bool(text.strip()) and _kind(text.strip()) not in ("courtesy", "form")


def _size(text: str) -> float:
    """In words; two Chinese characters are about one."""
    words = _WORD.findall(text[:1000])
    return sum(0.5 if "\u4e00" <= word <= "\u9fff" else 1 for word in words)


def _said(text: str) -> str:
    """Without what only points."""
    return " ".join(_EMPTY.sub(" ", text[:_LONGEST]).split()).strip(" ?？,，.。!！")


def _language(text: str) -> Language | None:
    lowered = text.lower()
    if re.search(r"\b(?:chinese|mandarin)\b|中文|汉语|国语|普通话", lowered):
        return "zh"
    return "en" if re.search(r"\benglish\b|英文|英语", lowered) else None


def _item(text: str, history: Sequence[Turn]) -> str:
    """What "the second one" was in the list of the last answer."""
    lowered = text.lower()
    place = next((place for word, place in _ORDINALS.items() if word in lowered), None)
    said = next((turn.text for turn in reversed(history) if turn.role == "assistant"), "")
    items = _ITEM.findall(said) if place is not None else []
    return items[place] if place is not None and place < len(items) else ""
