"""What the bot says without asking a model."""

from __future__ import annotations

WORDS = {
    "nothing_said": (
        "I am here. What would you like to know?",
        "我在，请问有什么可以帮您？",
    ),
    "cannot_read": (
        "I can only read text so far, and there was none in your message ({kinds}). Please write your question.",
        "我目前只能阅读文字，而您的消息里没有文字（{kinds}）。请用文字告诉我您的问题。",
    ),
}
