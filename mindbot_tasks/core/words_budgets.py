"""What the bot says about budgets, and what `/usage` tells."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "refused_user": (
        "You have used up your budget for today, so I cannot answer this one. In {hours} it starts anew.",
        "您今天的额度已用完，这条消息暂时无法回答。{hours}后额度会重新开始。",
    ),
    "refused_bot": (
        "I have used up my budget for today, so I cannot answer this one. In {hours} it starts anew.",
        "我今天的额度已用完，这条消息暂时无法回答。{hours}后额度会重新开始。",
    ),
    "hours": ("{count} h", "约 {count} 小时"),
    "minutes": ("{count} min", "约 {count} 分钟"),
    "today": (
        "Today you used {tokens} tokens (calls of models: {calls}){cost}.",
        "您今天调用模型 {calls} 次，共使用 {tokens} 个 token{cost}。",
    ),
    "costing": (", which cost {amount}", "，费用 {amount}"),
    "some_unpriced": (" (without models whose price is unknown)", "（不含未知价格的模型）"),
    "budget_user": ("Your budget", "您的额度"),
    "budget_bot": ("This bot's budget", "本机器人的额度"),
    "budget_installation": ("The budget of everything", "整个系统的额度"),
    "budget_line": (
        "{whose}: {share} used ({used}); new in {hours}.",
        "{whose}：已用 {share}（{used}），{hours}后重置。",
    ),
    "of_tokens": ("{used} of {limit} tokens", "{used} / {limit} token"),
    "of_cost": ("{used} of {limit}", "{used} / {limit}"),
    "thrifty": ("A cheaper model answers until then.", "在此之前由更便宜的模型回答。"),
    "all_used": ("Nothing is left for today.", "今天已无余额。"),
}
