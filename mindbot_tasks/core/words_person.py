"""What the bot says around a hand-over to a person."""

from __future__ import annotations

WORDS = {
    "passing_on": (
        "I am passing you on to a colleague. One moment, please.",
        "正在为您转接人工客服，请稍候。",
    ),
    "nobody_there": (
        "Nobody is available right now. I will keep helping as well as I can.",
        "抱歉，暂时没有人工客服在线。我会继续尽力为您解答。",
    ),
    "welcome": (
        "Hello, I am the assistant. How can I help you?",
        "您好，我是智能助手，请问有什么可以帮您？",
    ),
    "cut": (
        "… (The answer was too long to be shown in full.)",
        "……（回答过长，未能完整显示。）",
    ),
}
