"""What people hear who answer an alert by SMS."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "acknowledged": ("Alert {code} is yours. Nobody else is called.", "告警 {code} 已由您确认,不再通知其他人。"),
    "not_open": ("Alert {code} is not open, or somebody was quicker.", "告警 {code} 不存在、已结束或已被他人确认。"),
    "nothing_open": ("No alert that you were told of is open.", "没有通知过您的未处理告警。"),
    "how": ("To acknowledge an alert, answer ACK and its code.", "确认告警请回复:收到 编号"),
}
