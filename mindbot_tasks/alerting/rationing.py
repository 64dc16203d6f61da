"""How much one person gets: singly, put together in one, held back or left out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mindbot_tasks.core.settings import AlertLimitsSettings
from mindbot_tasks.model.alert import Severity

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Ration:
    """What happens to the messages that wait for one address."""

    single: tuple[Any, ...] = ()
    together: tuple[Any, ...] = ()  #: the first of them is sent, and tells of all
    held: tuple[Any, ...] = ()
    held_until: int = 0
    left_out: tuple[Any, ...] = ()


def ration(
    waiting: Sequence[Any], sent_at: Sequence[int], limits: AlertLimitsSettings, *, spent: bool, now: int
) -> Ration:
    """`waiting` are rows with a severity, the worst first; `sent_at` are the SMS of the last hour, newest first.

    `spent`: the budget of the day is used up. Nothing critical is left out by a cap below the ceiling, and nothing at
    all is by the burst: what does not fit is told together in the last message of the burst.
    """
    hour = [at for at in sent_at if at > now - HOUR_MS]
    over_cap = spent or len(hour) >= limits.per_hour
    over_ceiling = len(hour) >= limits.ceiling_per_hour
    left_out: list[Any] = []
    rest: list[Any] = []
    for row in waiting:
        capped = over_ceiling or (over_cap and row["severity"] != Severity.CRITICAL)
        (left_out if capped else rest).append(row)
    window_ms = int(limits.burst_window * 1000)
    recent = [at for at in hour if at > now - window_ms]
    free = limits.burst - len(recent)
    if not rest:
        return Ration(left_out=tuple(left_out))
    if free <= 0:
        frees_at = sorted(recent)[len(recent) - limits.burst] + window_ms
        return Ration(held=tuple(rest), held_until=max(now + 1000, frees_at), left_out=tuple(left_out))
    waited = [row for row in rest if row.get("created_at", now) <= now - window_ms / 2]
    if len(waited) > 1:  # for the end of a burst: this person knows that much is wrong, so one tells of all
        others = [row for row in rest if row not in waited]
        return Ration(
            single=tuple(others[: free - 1]), together=(*waited, *others[free - 1 :]), left_out=tuple(left_out)
        )
    if len(rest) <= free:
        return Ration(single=tuple(rest), left_out=tuple(left_out))
    return Ration(single=tuple(rest[: free - 1]), together=tuple(rest[free - 1 :]), left_out=tuple(left_out))


Encoding = Literal["gsm", "ucs2"]
_GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ ÆæßÉ!\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = set("^{}\\[~]|€")


def sms_parts(text: str) -> int:
    """How many SMS a text takes: 160 characters of the GSM alphabet or 70 of any other, less when there are several.

    >>> sms_parts("a" * 160), sms_parts("a" * 161), sms_parts("钉" * 70), sms_parts("钉" * 71)
    (1, 2, 1, 2)
    """
    single, several, length = _sizes(text)
    return 1 if length <= single else -(-length // several)


def _sizes(text: str) -> tuple[int, int, int]:
    if all(sign in _GSM or sign in _GSM_TWICE for sign in text):
        return 160, 153, sum(2 if sign in _GSM_TWICE else 1 for sign in text)
    return 70, 67, len(text.encode("utf-16-le")) // 2


def fit_sms(text: str, end: str = "", *, parts: int = 1) -> str:
    """The text, cut so that together with `end` it takes at most `parts` SMS.

    >>> fit_sms("a" * 200, " ACK K7Q4")[-12:]
    '... ACK K7Q4'
    """
    whole = text + end
    if sms_parts(whole) <= parts:
        return whole
    for length in range(min(len(text), parts * 160), -1, -1):
        cut = text[:length].rstrip() + "..." + end
        if sms_parts(cut) <= parts:
            return cut
    return end
