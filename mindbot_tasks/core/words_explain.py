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
    "lately": ("calls: {calls}, answered: {success}", "{calls} 次调用,成功 {success}"),
    "strategy": ("routing: {strategy}: {why}", "路由:{strategy}:{why}"),
    "without_agent": ("without an agent the workflow is asked first", "未启用智能体,先问工作流"),
    "workflow_first": ("the workflow is asked before the agent", "工作流先于智能体"),
    "agent_first": ("the agent is asked first, with the workflows as its tools", "先问智能体,工作流作为其工具"),
    "hybrid_workflow": (
        "{confidence} is sure enough (from {threshold}), so the workflow is asked before the agent",
        "置信度 {confidence} 达到 {threshold},工作流先于智能体",
    ),
    "hybrid_agent": (
        "{confidence} is not sure enough (from {threshold}), so the agent is asked before the workflow",
        "置信度 {confidence} 未达到 {threshold},智能体先于工作流",
    ),
    "hybrid_general": (
        "no workflow is made for this, so the agent is asked before the general one",
        "没有专门的工作流,智能体先于通用工作流",
    ),
    "variant": ("variant of the experiment: {variant}", "实验变体:{variant}"),
    "variants": (
        "this workflow has the variants {names}; --user says which one somebody gets",
        "该工作流有变体 {names};用 --user 查看某用户的分组",
    ),
    "its_variant": ("the workflow of this kind, as variant {variant}", "该类消息的工作流,变体 {variant}"),
    "demoted": (
        "demoted: it failed too often lately; about one message in ten still goes to it first",
        "已降级:近期失败过多;约十条消息中有一条仍先交给它",
    ),
    "agent": ("the agent with its tools", "带工具的智能体"),
    "basic_dify": ("Dify without a workflow comes after the agent", "基础 Dify,接在智能体之后"),
    "by_name": ("the model that this bot asks for", "该机器人指定的模型"),
    "breaker_open": ("breaker open for {wait_s} s", "熔断中,剩余 {wait_s} 秒"),
    "breaker_probe": ("breaker open, the next call is its probe", "熔断中,下次调用为探测"),
    "next": ("people go on with: {what}", "用户接着使用:{what}"),
    "off": ("not asked: {path}: {reason}", "未启用:{path}:{reason}"),
}
