"""What stands on DingTalk's cards beside the answer."""

from __future__ import annotations

WORDS = {
    "card_summary": ("[An answer]", "[回复]"),
    "card_below": ("The answer follows below.", "回复见下方消息。"),
}
