"""Markdown as the chats of WeCom can show it: plain words, or the small subset that apps may send; pure.

The subset: headings, bold, links, inline code, quotes; no tables, pictures, code blocks. WeCom docs, 2026-11-20.
"""

from __future__ import annotations

from mindbot_tasks.platforms.plain import Plain

#: nobody gets to see what comes after so much
_MAX_CHARS = 40_000


def plain(markdown: str) -> str:
    """The words without marks: links as "label: url", tables as lines."""
    return _Words().shown(markdown[:_MAX_CHARS])


def subset(markdown: str) -> str:
    """The same with the marks that WeCom knows."""
    return _Subset().shown(markdown[:_MAX_CHARS])


class _Words(Plain):
    def heading(self, level: int, words: str) -> str:
        return _one_line(words)

    def link(self, words: str, url: str) -> str:
        return f"{_one_line(words)}: {url} "  # the blank keeps what follows out of the address


class _Subset(_Words):
    def heading(self, level: int, words: str) -> str:
        return f"{'#' * level} {_one_line(words)}"

    def strong(self, words: str) -> str:
        return f"**{words}**"

    def code(self, words: str) -> str:
        return words if "`" in words else f"`{words}`"

    def link(self, words: str, url: str) -> str:
        label = _one_line(words)
        if set("[]()") & set(label) or set("() ") & set(url):
            return super().link(label, url)
        return f"[{label}]({url})"


def _one_line(words: str) -> str:
    return " ".join(words.split())
