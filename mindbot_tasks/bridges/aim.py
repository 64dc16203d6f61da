"""The process that holds the connection of an AIM account: a Celery worker that serves this bot's replies.

So sends keep what a task has (options, retries, limits, Flower), and only the process that can send takes them.
"""

from __future__ import annotations

import re

from mindbot_tasks.platforms.queues import queue_of

#: answers that may be on their way at once; the account's rate limit is far below what one thread can do
THREADS = 4


def command(bot: str) -> list[str]:
    """How to start it."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", bot)
    return [
        "celery", "-q", "-A", "mindbot_tasks", "worker",
        "-Q", queue_of("aim", bot),
        "-I", "mindbot_tasks.bridges.aim_worker",
        "-P", "threads", "-c", str(THREADS),
        "-n", f"aim-{name}@%h",
        "--without-gossip", "--without-mingle",
    ]  # fmt: skip
