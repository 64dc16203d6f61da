"""The notifiers of this process, and which of them can reach whom."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Final

from mindbot_tasks.alerting.escalation import Services
from mindbot_tasks.core.settings import AlertManagerSettings, get_settings
from mindbot_tasks.model.alert import Channel
from mindbot_tasks.notifiers import registry
from mindbot_tasks.notifiers.base import Notifier

#: the notifier that speaks through MindBot's own platforms; the stage `notify` brings it along
CHAT: Final = "chat"


@functools.cache
def get_notifiers() -> tuple[Notifier, ...]:
    """Built once, from the settings of this process."""
    return tuple(registry.build(get_settings()))


def services_of(notifiers: Sequence[Notifier]) -> Services:
    """Their names by channel."""
    found: dict[Channel, list[str]] = {}
    for notifier in notifiers:
        found.setdefault(notifier.channel, []).append(notifier.name)
    return found


def services(settings: AlertManagerSettings) -> Services:
    """What works in this process: its notifiers, and chats where somebody wants to be told there."""
    found = dict(services_of(get_notifiers()))
    if any(person.chat for group in settings.recipients.values() for person in group):
        found[Channel.CHAT] = [CHAT]
    return found


def addresses(settings: AlertManagerSettings) -> Mapping[str, Mapping[Channel, str]]:
    """Where each person can be reached."""
    return {
        person.name: {Channel.SMS: person.phone, Channel.EMAIL: person.email, Channel.CHAT: person.chat}
        for group in settings.recipients.values()
        for person in group
    }
