"""What `mindbot tune` says."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "measured": (
        "{minutes} min measured, messages: {count} ({rate} a second)",
        "{minutes} 分钟内 {count} 条消息:每秒 {rate} 条",
    ),
    "planned": ("planned for {rate} messages/s", "按每秒 {rate} 条消息规划"),
    "head_stage": ("stage", "阶段"),
    "head_mean": ("takes", "耗时"),
    "head_waited": ("waits for a slot", "等待空位"),
    "head_busy": ("slots busy", "占用并发"),
    "head_current": ("slots now", "当前并发"),
    "assumed": ("{seconds} s (assumed)", "{seconds} 秒(假定)"),
    "nothing": (
        "No messages came in this time. Choose a longer one (--window 7d) or plan: mindbot tune --assume-rate 5",
        "这段时间没有消息。请选择更长的时间(--window 7d),或进行规划:mindbot tune --assume-rate 5",
    ),
    "set": (
        "Busy slots x 1.3, for the moments above the average; set for the workers (all machines together):",
        "占用并发 x 1.3,以应对高于平均的时刻;请为 worker 设置(所有机器合计):",
    ),
    "too_few": ("more than the {current} there are", "多于现有的 {current}"),
    "enough": ("{current} there are: enough", "现有 {current},足够"),
    "thin": (
        "Fewer than {few} messages were measured for: {stages}; take it as a first guess.",
        "以下阶段的测量不足 {few} 条消息:{stages};仅供初步参考。",
    ),
}
