"""The answerer of a bot without a model: honest about that, and still good for the time, the date and arithmetic."""

from __future__ import annotations

import ast
import functools
import operator
import re
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import simpleeval

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.llm.base import OnText, Question, Spoken
from mindbot_tasks.model.answer import Answer

_TIME = re.compile(
    r"\b(what|tell|current|now)\b.{0,30}\b(time|date|day|clock)\b|\btime is it\b"
    r"|几点|时间|日期|今天.{0,4}(几号|星期|周几|礼拜)",
    re.I,
)
# an expression: digits, operators, brackets, spaces and a little punctuation around it
_SUM = re.compile(r"[-+(\d.][\d\s.,+\-*/%^()×÷（）]*[\d)）]")
_NUMBERED = re.compile(r"\d+([-/]\d+)+")  # a phone number, a date, a version: a sum only when nothing else is said
_ALONE = re.compile(r"[\s\d=?？/-]+")
_SUM_WORDS = re.compile(r"[+\-*/%^×÷]")
_ZONES = {
    place: zone
    for zone, places in {
        "UTC": ("utc", "gmt"),
        "Asia/Shanghai": ("beijing", "shanghai", "china", "北京", "上海", "中国"),
        "Asia/Hong_Kong": ("hong kong", "香港"),
        "Asia/Tokyo": ("tokyo", "japan", "东京", "日本"),
        "Asia/Singapore": ("singapore", "新加坡"),
        "Asia/Kolkata": ("delhi", "india", "印度"),
        "Asia/Dubai": ("dubai", "迪拜"),
        "Europe/Moscow": ("moscow", "莫斯科"),
        "Europe/Berlin": ("berlin", "germany", "柏林", "德国"),
        "Europe/Paris": ("paris", "france", "巴黎", "法国"),
        "Europe/London": ("london", "伦敦"),
        "America/New_York": ("new york", "纽约"),
        "America/Los_Angeles": ("san francisco", "los angeles", "旧金山", "洛杉矶"),
        "Australia/Sydney": ("sydney", "悉尼"),
    }.items()
    for place in places
}
_WEEKDAYS_ZH = "一二三四五六日"

_WORDS = {
    "en": {
        "none": (
            "No language model is configured, so I can only tell the time, calculate, and show how I would route "
            "your message.\n\nTo get real answers, set `OPENAI_API_KEY` (or another provider's key) or a Dify key in "
            "`.env`, enable the provider in `mindbot.yaml`, and run `mindbot config check`. Even without one I "
            "quote documents: `mindbot kb add docs/` has me read MindBot's own."
        ),
        "label": "I would send this message to **{label}** (confidence {confidence:.0%}; {reason}).",
        "sum": "{expression} = **{result}**",
        "time": "It is **{time}** ({zone}), {weekday} {date}.",
        "quote": "From what I have read:\n\n{quote}",
        "unread": "This is not in what I have read.",
    },
    "zh": {
        "none": (
            "目前没有配置大模型，我只能报时、做算术，并告诉您这条消息会交给谁处理。\n\n"
            "要得到真正的回答，请在 `.env` 中设置 `OPENAI_API_KEY`（或其他提供商的密钥）或 Dify 密钥，"
            "在 `mindbot.yaml` 中启用它，然后运行 `mindbot config check`。没有模型时我也能引用文档："
            "`mindbot kb add docs/` 让我读取 MindBot 自己的文档。"
        ),
        "label": "这条消息会交给 **{label}** 处理（置信度 {confidence:.0%}；{reason}）。",
        "sum": "{expression} = **{result}**",
        "time": "现在是 **{time}**（{zone}），{date}，星期{weekday}。",
        "quote": "我读过的资料中写道：\n\n{quote}",
        "unread": "我读过的资料里没有这个内容。",
    },
}


class Offline:
    """Answers without any model."""

    name = "offline"

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._now = now

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """The time, a sum or a quotation, else what is missing and how the message was classified."""
        words = _WORDS["zh" if question.language == "zh" else "en"]
        useful = self._time(question, words) or _sum(question.text, words)
        if useful is None and question.quote:
            useful = words["quote"].format(quote=question.quote)
        label = question.classification
        unread = [words["unread"]] if question.nothing_read else []
        text = useful or "\n\n".join(
            (
                *unread,
                words["none"],
                words["label"].format(label=label.label, confidence=label.confidence, reason=label.reason),
            )
        )
        on_text(text)
        return Spoken(Answer(text=text, provider="offline", details={"helped": useful is not None}))

    def _time(self, question: Question, words: dict[str, str]) -> str | None:
        text = question.text.lower()
        if not _TIME.search(text):
            return None
        zone = next((zone for place, zone in _ZONES.items() if re.search(rf"(?<![a-z]){place}(?![a-z])", text)), None)
        if zone is None and (named := re.search(r"\b[a-z]+/[a-z_]+\b", text)):
            zone = _zone_names().get(named[0])
        zone = zone or ("Asia/Shanghai" if question.language == "zh" else "UTC")
        now = self._now().astimezone(zoneinfo.ZoneInfo(zone))
        weekday = _WEEKDAYS_ZH[now.weekday()] if question.language == "zh" else f"{now:%A}"
        return words["time"].format(time=f"{now:%H:%M}", zone=zone, date=f"{now:%Y-%m-%d}", weekday=weekday)


@functools.cache
def _zone_names() -> dict[str, str]:
    return {name.lower(): name for name in zoneinfo.available_timezones()}


_FULL_WIDTH = str.maketrans("×÷（）^", "*/()^")


class _Arithmetic(simpleeval.SimpleEval):  # type: ignore[misc]
    """Numbers and operators; no names, no functions, nothing that takes long."""

    def __init__(self) -> None:
        super().__init__(
            operators={
                ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: simpleeval.safe_mult, ast.Div: operator.truediv,
                ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: _power, ast.USub: operator.neg,
                ast.UAdd: operator.pos,
            },
            functions={},
            names={},
        )  # fmt: skip


def _power(base: float, exponent: float) -> Any:
    if abs(exponent) > 1000 or abs(base) > 1e12:
        raise simpleeval.NumberTooHigh("too big a power")
    return base**exponent


def _sum(text: str, words: dict[str, str]) -> str | None:
    """The result of the longest expression in the text, None if there is none that can be calculated."""
    if len(text) > 1000:
        return None
    found = max(_SUM.findall(text.translate(_FULL_WIDTH)), key=len, default="")
    expression = found.strip(" ,")
    if not _SUM_WORDS.search(expression[1:]) or len(expression) > 200:
        return None
    if _NUMBERED.fullmatch(expression) and not _ALONE.fullmatch(text):
        return None
    try:
        result = _Arithmetic().eval(re.sub(r"(?<=\d),(?=\d{3})", "", expression).replace("^", "**"))
        if isinstance(result, float):
            shown = f"{result:.12g}"
        elif isinstance(result, int) and abs(result) < 10**60:
            shown = str(result)
        else:
            return None
    # a date, a phone number, 1/0, 9^9^9: not something to calculate here
    except (
        simpleeval.InvalidExpression,
        SyntaxError,
        ArithmeticError,
        ValueError,
        TypeError,
        MemoryError,
        RecursionError,
    ):
        return None
    return words["sum"].format(expression=expression.replace("*", "×"), result=shown)
