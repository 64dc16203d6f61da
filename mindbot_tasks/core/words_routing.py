"""What is said about routes and workflows: under answers, and by `mindbot workflows`."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    # under an answer
    "suggestion": ("💡 {what}", "💡 {what}"),
    "line": (
        "_{label} ({confidence}), {strategy}: {asked}_",
        "_{label}({confidence}),{strategy}:{asked}_",
    ),
    # mindbot workflows
    "nothing": (
        "nothing was counted in this time ({days} d); answers are counted about half a minute after they are given",
        "最近 {days} 天没有统计数据;回答发出约半分钟后计入统计",
    ),
    "no_such": ("nothing is known of {name}; known: {known}", "没有 {name} 的数据;已知:{known}"),
    "head_workflow": ("workflow", "工作流"),
    "head_variant": ("variants", "变体"),
    "head_calls": ("calls", "调用"),
    "head_success": ("answered", "成功率"),
    "head_times": ("p50 / p95", "p50 / p95"),
    "head_thumbs": ("thumbs up / down", "赞 / 踩"),
    "head_reasked": ("asked again", "重复提问"),
    "head_satisfaction": ("content", "满意度"),
    "head_recovery": ("recovered", "由他人补救"),
    "head_skipped": ("skipped", "跳过"),
    "head_errors": ("errors", "错误"),
    "state_is": ("now: {state}", "当前状态:{state}"),
    "well": ("well", "正常"),
    "demoted": ("demoted", "已降级"),
    "off": ("off", "未启用"),
    "satisfaction_is": (
        "content: at least this share of people is content (95 %); asking again counts as half a thumb down",
        "满意度:95 % 置信下至少有这么多用户满意;重复提问按半个踩计算",
    ),
    "goes_on": ("people go on with: {what}", "用户接着使用:{what}"),
    # mindbot workflows ab
    "no_experiment": (
        "{name} has no variants: set workflows.{name}.variants",
        "{name} 没有变体:请设置 workflows.{name}.variants",
    ),
    "head_share": ("people", "用户占比"),
    "head_what": ("compared", "比较项"),
    "head_p": ("p", "p 值"),
    "head_verdict": ("verdict", "结论"),
    "success": ("answered", "成功率"),
    "thumbs": ("thumbs up", "点赞率"),
    "latency": ("time", "耗时"),
    "compared": ("{one} and {other}", "{one} 与 {other}"),
    "too_few": ("too few to tell", "样本太少"),
    "no_difference": ("no significant difference", "差异不显著"),
    "better": ("{name} is better", "{name} 更好"),
    "p_is": (
        "p: how often a difference at least this large would come about by chance (Fisher or z-test for shares, "
        "Mann-Whitney for times; corrected by Holm, comparisons: {count}); below {limit:g} it counts as real",
        "p 值:若无差异,出现至少这么大差距的概率(比例用 Fisher 或 z 检验,耗时用 Mann-Whitney;"
        "按 {count} 次比较做 Holm 校正);低于 {limit:g} 视为显著",
    ),
}
