"""What `mindbot local-model` says."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "none": (
        "no provider of type transformers names a model with a path",
        "没有 type 为 transformers 且写有模型 path 的提供方",
    ),
    "no_extra": (
        'transformers and torch are not installed: pip install "mindbot[local]"',
        '未安装 transformers 和 torch:请执行 pip install "mindbot[local]"',
    ),
    "no_port": ("cannot listen: {why}", "无法监听:{why}"),
}
