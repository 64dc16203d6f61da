"""How the process that holds the connections of a DingTalk bot is started; light, for its supervisor."""

from __future__ import annotations

import sys


def command(bot: str) -> list[str]:
    """How to start it."""
    return [sys.executable, "-m", "mindbot_tasks.bridges.dingtalk", bot]


if __name__ == "__main__":
    from mindbot_tasks.bridges.dingtalk_stream import main

    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "default"))
