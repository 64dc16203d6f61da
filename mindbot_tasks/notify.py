"""Notifications: what the outbox holds goes to people."""

from __future__ import annotations

from typing import ClassVar

import structlog
from kombu.exceptions import OperationalError

from mindbot_tasks import intake
from mindbot_tasks.alerting.delivering import Post, deliver
from mindbot_tasks.alerting.registry import CHAT, addresses, get_notifiers
from mindbot_tasks.app import app
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DatabaseUnavailable, MindBotError, Rejected, Unavailable
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.model.alert import Accepted, Channel, Notification
from mindbot_tasks.model.message import Part
from mindbot_tasks.notifiers.base import Notifier
from mindbot_tasks.platforms import registry
from mindbot_tasks.platforms.base import WritesFirst
from mindbot_tasks.stores import outbox, workers
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

_MOST_PASSES = 5


class ChatNotifier:
    """Tells people through a platform of MindBot itself; never the only way: it shares the fate of what it tells of."""

    channel: ClassVar[Channel] = Channel.CHAT

    def __init__(self) -> None:
        self.name = CHAT

    def send(self, notification: Notification, deadline: Deadline) -> Accepted:
        """Put it into the ledger as a message that nobody asked for; once for each notification.

        Raises Rejected for an address that nobody can write to, Unavailable without a database.
        """
        name, _, rest = notification.address.partition(":")
        bot, _, user = rest.partition(":")
        try:
            platform = registry.get(name, bot)
        except MindBotError as exc:
            raise Rejected("there is no such bot", kind="invalid_request", provider=CHAT) from exc
        if not isinstance(platform, WritesFirst) or not user:
            raise Rejected("nobody can be written to there", kind="invalid_request", provider=CHAT)
        try:
            part = Part("markdown", notification.long_text or notification.short)
            sent = intake.send(platform, [part], user_id=user, key=f"alert-{notification.id}")
        except DatabaseUnavailable as exc:
            raise Unavailable(str(exc), kind="connection", provider=CHAT) from exc
        return Accepted(str(sent.message_id), final=True)


@app.task(name="mindbot.notify", base=MindBotTask)
def notify() -> int:
    """Send what is due; returns how much went out. However many run at once, each row is sent by one of them."""
    manager = get_settings().alert_manager
    if manager is None or not manager.enabled:
        return 0
    notifiers: list[Notifier] = [*get_notifiers(), ChatNotifier()]
    post = Post(manager, notifiers, transaction, workers.database_time, people=addresses(manager))
    sent = 0
    try:
        for _ in range(_MOST_PASSES):
            with reading() as connection:
                if not outbox.due(connection, now=workers.database_time(connection), limit=1):
                    break
            done = deliver(post)
            sent += done.sent
            if done.escalate:  # somebody cannot be reached: the next level is due now
                app.send_task("mindbot.escalate", queue="alerts", expires=30)
            if not (done.sent or done.failed):
                break
    except DatabaseUnavailable as exc:
        log.warning("notifications_interrupted", reason=str(exc))
    except (OperationalError, OSError) as exc:
        log.warning("escalation_waits_for_beat", reason=type(exc).__name__)
    return sent
