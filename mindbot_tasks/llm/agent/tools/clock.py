"""The tool `get_time`: what time it is somewhere."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mindbot_tasks.llm.agent.tools.base import Call, Tool, ToolFailed, arguments

#: what people call a zone -> its name in the time zone database
_PLACES = {
    "gmt": "UTC", "beijing": "Asia/Shanghai", "china": "Asia/Shanghai", "北京": "Asia/Shanghai",
    "上海": "Asia/Shanghai", "中国": "Asia/Shanghai", "cst": "Asia/Shanghai", "香港": "Asia/Hong_Kong",
    "东京": "Asia/Tokyo", "japan": "Asia/Tokyo", "日本": "Asia/Tokyo",
    "新加坡": "Asia/Singapore", "india": "Asia/Kolkata", "印度": "Asia/Kolkata",
    "伦敦": "Europe/London", "uk": "Europe/London", "巴黎": "Europe/Paris", "柏林": "Europe/Berlin",
    "germany": "Europe/Berlin", "莫斯科": "Europe/Moscow", "纽约": "America/New_York", "est": "America/New_York",
    "pst": "America/Los_Angeles", "洛杉矶": "America/Los_Angeles", "san francisco": "America/Los_Angeles",
    "悉尼": "Australia/Sydney",
}  # fmt: skip


@functools.cache
def _zones() -> dict[str, str]:
    """What a name in small letters means: the whole name, or its last part where that is the only one of its kind."""
    known = sorted(zoneinfo.available_timezones())
    found = {name.rpartition("/")[2].lower().replace("_", " "): name for name in known}
    return found | {name.lower().replace("_", " "): name for name in known} | _PLACES


def zone_of(said: str) -> zoneinfo.ZoneInfo:
    """Raises ToolFailed for a zone that nobody knows."""
    name = _zones().get(said.strip().lower().replace("_", " "))
    if name is None:
        raise ToolFailed("unknown time zone; use an IANA name such as Asia/Shanghai or Europe/Berlin")
    return zoneinfo.ZoneInfo(name)


def tell(said: str, language: str, now: datetime) -> str:
    """The time there, in a form that a model reads without mistakes."""
    zone = zone_of(said or ("Asia/Shanghai" if language == "zh" else "UTC"))
    there = now.astimezone(zone)
    return f"{there:%Y-%m-%d %H:%M:%S} {there:%A}, time zone {zone.key} (UTC{there:%z})"


def _run(given: Mapping[str, Any], call: Call) -> str:
    return tell(str(given.get("timezone") or ""), call.question.language, datetime.now(UTC))


GET_TIME = Tool(
    name="get_time",
    description="Tells the current date, time and day of the week in a time zone.",
    schema=arguments(
        {
            "timezone": {
                "type": "string",
                "description": "IANA name or a large city, such as Asia/Shanghai; empty: where the user probably is",
                "maxLength": 64,
            }
        }
    ),
    run=_run,
    timeout_s=5,
)
