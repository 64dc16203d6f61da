"""What `mindbot register` says."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "done": ("{platform} ({bot}): {name} -> {url}", "{platform}({bot}):{name} -> {url}"),
    "nothing": (
        "nothing to register: no platform that needs it is set up for it",
        "没有需要注册的内容:没有任何平台为此完成配置",
    ),
    "https": (
        "the address must begin with https:// (or http:// for a trial)",
        "地址须以 https:// 开头(试用可用 http://)",
    ),
}
