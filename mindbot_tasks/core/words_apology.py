"""What the bot says when it has no answer."""

from __future__ import annotations

WORDS = {
    "failed": (
        "Sorry, I could not get an answer to this message. Please try again in a few minutes.",
        "抱歉，这条消息我暂时无法回答，请过几分钟再试一次。",
    ),
    "late": (
        "Sorry, this took longer than it should and I had to stop. Please ask me again.",
        "抱歉，处理这条消息花的时间太长，我不得不停下来。请再问我一次。",
    ),
    "poison": (
        "Sorry, something about this message keeps me from answering it. The operators have been told.",
        "抱歉，这条消息让我无法正常处理，已经通知管理员。",
    ),
    "cancelled": ("I stopped working on this message, as you asked.", "已按您的要求停止处理这条消息。"),
}
