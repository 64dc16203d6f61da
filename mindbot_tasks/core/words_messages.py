"""What `mindbot messages` and `mindbot replay` say."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "id": ("id", "编号"),
    "received": ("received", "接收时间"),
    "platform": ("platform", "平台"),
    "state": ("state", "状态"),
    "kind": ("kind", "类别"),
    "took": ("took", "用时"),
    "text": ("text", "内容"),
    "more": ("more: mindbot messages --before {id}", "更多:mindbot messages --before {id}"),
    "none": ("no such messages", "没有符合条件的消息"),
    "message": ("message {id}", "消息 {id}"),
    "unknown": ("there is no message {id}", "没有编号为 {id} 的消息"),
    "from": ("from", "发送者"),
    "where": ("where", "会话"),
    "question": ("question", "问题"),
    "answered_by": ("answered by", "回答者"),
    "answer": ("answer", "回答"),
    "last_error": ("last error", "最近错误"),
    "trace": ("trace", "追踪"),
    "at": ("at", "时间"),
    "step": ("step", "步骤"),
    "after": ("after", "耗时"),
    "try": ("try", "次数"),
    "worker": ("worker", "worker"),
    "note": ("note", "备注"),
    "piece": ("piece {number} was sent at {at}, the platform's id: {id}", "第 {number} 段于 {at} 发送,平台编号:{id}"),
    "vote_up": ("{user} found the answer good ({at})", "{user} 认为回答有用({at})"),
    "vote_down": ("{user} found the answer bad ({at})", "{user} 认为回答没用({at})"),
    "replayed": (
        "message {id} goes through again from {stage}; see: mindbot messages show {id}",
        "消息 {id} 从 {stage} 阶段重新处理;查看:mindbot messages show {id}",
    ),
    "replay_later": (
        "message {id} is ready to go again from {stage}; the broker does not answer, so the sweeper will start it",
        "消息 {id} 已准备从 {stage} 阶段重新处理;消息代理无应答,将由清扫任务启动",
    ),
}
