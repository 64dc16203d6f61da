"""What the pages say, in English and Chinese."""

from __future__ import annotations

from typing import Final

from werkzeug.datastructures import LanguageAccept

LANGUAGES: Final = ("en", "zh")

_EN: Final = {
    "title": "MindBot playground",
    "tagline": "Every message is kept, and every one ends visibly.",
    "new": "New conversation",
    "other_language": "中文",
    "other_language_code": "zh",
    "theme": "Light or dark",
    "flower": "Flower",
    "alerts": "Alerts",
    "hello": "Say something to the bot",
    "hello_more": "Your message takes the same way as one from DingTalk or WeCom: signed webhook, ledger, "
    "classify, generate, reply. Watch it light up.",
    "suggestions": [
        "How do I connect DingTalk in Stream mode?",
        "What time is it?",
        "What is (17 + 4) * 2?",
        "How do I connect a model?",
        "Write a short SQL query",
    ],
    "placeholder": "Write a message …",
    "hint": "Enter sends, Shift + Enter makes a new line",
    "send": "Send",
    "started": "started",
    "trace": "Trace",
    "trace_empty": "Send a message, or choose one, to see what happened to it.",
    "system": "System",
    "ready": "Ready",
    "not_ready": "Not ready",
    "unreachable": "No connection",
    "workers": "workers",
    "on_the_way": "on the way",
    "received": "received",
    "classify": "classify",
    "generate": "generate",
    "reply": "reply",
    "message": "Message",
    "state": "State",
    "kind": "Kind",
    "confidence": "Confidence",
    "because": "Because",
    "answered_by": "Answered by",
    "workflow": "Workflow",
    "first_token": "First token",
    "model_time": "Model time",
    "tokens": "Tokens in / out",
    "attempts": "Retries",
    "worker": "Worker",
    "tries": "Tries",
    "timeline": "Timeline",
    "raw": "As JSON",
    "failed_to_send": "The message was not taken: ",
    "lost_connection": "The connection broke; trying again …",
    "thinking": "Thinking …",
    "no_answer": "There was nothing to say.",
    "states": {
        "received": "received",
        "classified": "classified",
        "answered": "answer ready",
        "replying": "being sent",
        "replied": "answered",
        "apologised": "apologised",
        "expired": "expired",
        "quarantined": "set aside",
        "ignored": "not for the bot",
    },
}

_ZH: Final = {
    "title": "MindBot 试验台",
    "tagline": "每条消息都不会丢失,每条消息都有结果。",
    "new": "新对话",
    "other_language": "English",
    "other_language_code": "en",
    "theme": "浅色或深色",
    "flower": "Flower",
    "alerts": "告警",
    "hello": "和机器人说点什么",
    "hello_more": "您的消息与来自钉钉或企业微信的消息走同一条路:签名回调、入账、分类、生成、回复。看它一步步点亮。",
    "suggestions": [
        "怎样用 Stream 模式接入钉钉?",
        "现在几点?",
        "(17 + 4) * 2 等于多少?",
        "怎样接入一个模型?",
        "写一条简单的 SQL 查询",
    ],
    "placeholder": "输入消息……",
    "hint": "Enter 发送,Shift + Enter 换行",
    "send": "发送",
    "started": "开始",
    "trace": "轨迹",
    "trace_empty": "发送或选择一条消息,查看它经历了什么。",
    "system": "系统",
    "ready": "就绪",
    "not_ready": "未就绪",
    "unreachable": "无法连接",
    "workers": "个工作进程",
    "on_the_way": "条处理中",
    "received": "收到",
    "classify": "分类",
    "generate": "生成",
    "reply": "回复",
    "message": "消息",
    "state": "状态",
    "kind": "类别",
    "confidence": "置信度",
    "because": "依据",
    "answered_by": "回答者",
    "workflow": "工作流",
    "first_token": "首个词元",
    "model_time": "模型用时",
    "tokens": "词元(入/出)",
    "attempts": "重试",
    "worker": "工作进程",
    "tries": "尝试",
    "timeline": "时间线",
    "raw": "JSON",
    "failed_to_send": "消息未被接收:",
    "lost_connection": "连接中断,正在重试……",
    "thinking": "思考中……",
    "no_answer": "没有可说的内容。",
    "states": {
        "received": "已收到",
        "classified": "已分类",
        "answered": "已生成",
        "replying": "发送中",
        "replied": "已回答",
        "apologised": "已致歉",
        "expired": "已过期",
        "quarantined": "已隔离",
        "ignored": "与机器人无关",
    },
}

WORDS: Final[dict[str, dict[str, object]]] = {"en": dict(_EN), "zh": dict(_ZH)}


def choose(picked: object, configured: str, accepted: LanguageAccept) -> str:
    """The person's own choice, else the configuration's, else what the browser asks for, else English."""
    for wish in (picked, configured):
        if isinstance(wish, str) and wish in LANGUAGES:
            return wish
    for tag in accepted.values():
        if (short := tag.split("-")[0].lower()) in LANGUAGES:
            return short
    return "en"
