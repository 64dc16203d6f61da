"""Pieces of messages in words, where they cannot be shown as what they are."""

from __future__ import annotations

WORDS = {
    "image": ("Picture", "图片"),
    "voice": ("Voice message", "语音"),
    "video": ("Video", "视频"),
    "file": ("File", "文件"),
    "link": ("Link", "链接"),
    "location": ("Location", "位置"),
    "card": ("Card", "卡片"),
    "not_shown": ("[{what}: {name}, which cannot be shown here]", "[{what}:{name},此处无法显示]"),
    "not_shown_nameless": ("[{what}, which cannot be shown here]", "[{what},此处无法显示]"),
}
