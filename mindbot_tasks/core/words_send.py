"""What `mindbot send` says."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "sent": (
        "message {id} is on its way; see: mindbot messages show {id}",
        "消息 {id} 已开始发送;查看:mindbot messages show {id}",
    ),
    "known": ("message {id} was handed in before with this key", "此 key 对应的消息 {id} 之前已提交"),
    "to_whom": ("say to whom: --user or --conversation", "请用 --user 或 --conversation 指定接收者"),
    "cannot": ("{platform} has no way to write to people who have not asked", "{platform} 无法主动联系未提问的人"),
}
