"""What the bot says without asking a model."""

from __future__ import annotations

WORDS = {
    "nothing_said": (
        "I am here. What would you like to know?",
        "我在，请问有什么可以帮您？",
    ),
    "cannot_read": (
        "I cannot read messages of this kind. Please write your question.",
        "我无法读取这种类型的消息。请用文字告诉我您的问题。",
    ),
}
