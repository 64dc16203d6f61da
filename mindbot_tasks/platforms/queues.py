"""Which queue the replies of a bot wait in: most share one; some have one of their own.

Whoever has to hold a connection to be able to send serves a queue of its own, for only that process can. The name is
the platform's and the bot's.
"""

from __future__ import annotations

from urllib.parse import quote

from mindbot_tasks.core.settings import Settings, get_settings

SHARED = "reply"
#: platforms that send from the process that holds the connection
_BY_CONNECTION = ("aim",)


def reply_queue(platform: str, bot: str) -> str:
    """Where the tasks that send to this bot's people go. A bot that is not configured here has the shared queue."""
    if platform in _BY_CONNECTION and bot in getattr(get_settings(), platform):
        return queue_of(platform, bot)
    return SHARED


def is_own(queue: str | None) -> bool:
    """Whether a task that came by this queue can be done by the process that holds a connection, and no other."""
    return queue is not None and queue.startswith(tuple(f"{platform}." for platform in _BY_CONNECTION))


def queue_of(platform: str, bot: str) -> str:
    """The queue of a bot that has its own."""
    return f"{platform}.{quote(bot, safe='')}"


def own_queues(settings: Settings) -> dict[str, tuple[str, str]]:
    """Each such queue with its platform and bot, in the order of the configuration."""
    bots = ((platform, bot) for platform in _BY_CONNECTION for bot in getattr(settings, platform))
    return {queue_of(platform, bot): (platform, bot) for platform, bot in bots}
