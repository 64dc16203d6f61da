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
    "head_answers": ("answers", "回答数"),
    "head_input": ("tokens in", "输入 token"),
    "head_output": ("tokens out", "输出 token"),
    "head_mean": ("takes", "平均耗时"),
    "head_cost": ("cost", "费用"),
    "unpriced": (
        "?: some models have no price; set input_price and output_price of the model in the configuration.",
        "?:部分模型没有价格;请在配置中为模型设置 input_price 与 output_price。",
    ),
}
