"""What stands on DingTalk's cards beside the answer."""

from __future__ import annotations

WORDS = {
    "card_summary": ("[An answer]", "[回复]"),
    "not_sent": ("[The file {name} cannot be sent here]", "[文件 {name} 无法在此发送]"),
    "card_below": ("The answer follows below.", "回复见下方消息。"),
}
