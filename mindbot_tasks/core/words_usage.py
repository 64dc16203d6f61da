"""What `mindbot usage` says."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "nothing": ("no answers in this time", "这段时间没有回答"),
    "head_day": ("day", "日期"),
    "head_platform": ("platform", "平台"),
    "head_bot": ("bot", "机器人"),
    "head_user": ("user", "用户"),
    "head_provider": ("provider", "提供方"),
    "head_model": ("model", "模型"),
    "head_workflow": ("workflow", "工作流"),
    "head_purpose": ("for", "用途"),
    "head_calls": ("calls", "调用数"),
    "head_failures": ("failed", "失败"),
    "head_answers": ("answers", "回答数"),
    "head_input": ("tokens in", "输入 token"),
    "head_output": ("tokens out", "输出 token"),
    "head_mean": ("takes", "平均耗时"),
    "head_cost": ("cost", "费用"),
    "budgets": ("Budgets of today, new in {hours} h:", "今日预算（{hours} 小时后重置）："),
    "head_whose": ("budget of", "预算对象"),
    "head_used": ("used", "已用"),
    "head_left": ("left", "剩余"),
    "head_state": ("now", "状态"),
    "everything": ("everything", "整个系统"),
    "state_soft": ("a cheaper model answers", "由更便宜的模型回答"),
    "state_hard": ("refuses", "拒绝回答"),
    "unpriced": (
        "?: some models have no price; set input_price and output_price of the model in the configuration.",
        "?:部分模型没有价格;请在配置中为模型设置 input_price 与 output_price。",
    ),
}
