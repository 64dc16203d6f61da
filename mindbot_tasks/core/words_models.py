"""What `mindbot models` says."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "head_provider": ("provider", "提供方"),
    "head_model": ("model", "模型"),
    "head_state": ("state", "状态"),
    "head_price": ("price in / out", "价格 输入/输出"),
    "head_context": ("reads (tokens)", "上下文(token)"),
    "served": ("served", "可用"),
    "missing": ("not in its provider's list", "不在提供方的模型列表中"),
    "gone": ("no longer served", "已停止服务"),
    "unknown": ("not known", "未知"),
    "until": ("{state} until {day}", "{state},{day} 停用"),
    "use": ("{state}; use for example {instead}", "{state};可改用 {instead} 等"),
    "problem": ("{provider}: cannot be asked for its models ({why})", "{provider}:无法获取模型列表({why})"),
    "key_fine": ("in use", "使用中"),
    "key_rests": ("set aside ({why}) for {seconds} s more", "已停用({why}),还有 {seconds} 秒"),
}
