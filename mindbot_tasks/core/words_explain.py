"""What `mindbot explain` says."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "label": ("{label}, confidence {confidence} ({reason})", "{label},置信度 {confidence}({reason})"),
    "scores": ("scores: {scores}", "得分:{scores}"),
    "head_order": ("#", "#"),
    "head_answerer": ("asked", "询问对象"),
    "head_why": ("why", "原因"),
    "head_lately": ("last ten minutes", "最近十分钟"),
    "its_workflow": ("the workflow of this kind of message", "该类消息的工作流"),
    "helps_out": ("the general workflow helps out", "通用工作流兜底"),
    "nobody_else": ("nobody else is configured", "没有配置其他回答方"),
    "by_ordered": ("in the order of the configuration", "按配置顺序"),
    "by_round_robin": ("providers take turns", "轮询"),
    "by_weighted": ("drawn by weight", "按权重抽取"),
    "by_performance_based": ("by success and speed", "按成功率与速度"),
    "cheapest": ("the cheapest first", "最便宜者优先"),
    "lately": ("{calls} calls, {success} answered", "{calls} 次调用,成功 {success}"),
    "off": ("not asked: {path}: {reason}", "未启用:{path}:{reason}"),
}
