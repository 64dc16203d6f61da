"""What users read, and what Dify apps are told, when an answer comes from a Dify app."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "user": ("User", "用户"),
    "assistant": ("Assistant", "助手"),
    "sources": ("Sources:", "参考来源:"),
    "paused_title": ("The workflow needs your decision.", "工作流需要您的确认。"),
    "paused_choose": ("Please answer with one of: {choices}", "请回复以下选项之一:{choices}"),
    "paused_fields": ("To fill in: {fields}", "需要填写:{fields}"),
    "paused_how_field": (
        "Answer with your choice, then your words after it, for instance: {example}",
        "请回复选项,并在其后写上内容,例如:{example}",
    ),
    "paused_how_fields": (
        "Answer with your choice on the first line, then one line for each field: {example}",
        "请在第一行回复选项,随后每个字段一行:{example}",
    ),
    "paused_words": ("words", "内容"),
    "paused_cancel": ("To leave it, answer: cancel", "如需放弃,请回复:取消"),
    "paused_elsewhere": (
        "The workflow waits for a person who was asked elsewhere (for instance by e-mail). "
        "Ask again when that is done.",
        "工作流正在等待通过其他途径(例如邮件)收到通知的人员处理。处理完成后请再次提问。",
    ),
    "paused_unclear": ("I could not match that to what is asked.", "无法识别您的回复。"),
    "paused_dropped": ("Left; nothing was decided.", "已放弃,未做任何决定。"),
    "paused_gone": (
        "The time to decide has run out, or somebody else has decided. Please ask again.",
        "确认时间已过,或已由他人处理。请重新提问。",
    ),
}
