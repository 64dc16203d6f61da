"""What the commands of `mindbot alerts` share."""

from __future__ import annotations

import sys
from datetime import datetime

from rich.console import Console

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import AlertManagerSettings, get_settings
from mindbot_tasks.core.words import Lang, lang_of, say


def language() -> Lang:
    return lang_of(get_settings().language)


def tell(key: str, **fields: object) -> str:
    return say(f"alertscli.{key}", language(), **fields)


def manager() -> AlertManagerSettings:
    """The section. Raises SettingsError when alerts are off."""
    found = get_settings().alert_manager
    if found is None or not found.enabled:
        raise SettingsError(tell("off"))
    return found


def clock(at: int | None) -> str:
    """A time of the database, here."""
    return "" if at is None else f"{datetime.fromtimestamp(at / 1000).astimezone():%Y-%m-%d %H:%M:%S}"


def console() -> Console:
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 240)
