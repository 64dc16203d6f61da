"""Markdown from models and strangers as HTML that is safe to show: no raw HTML, no scripts, no outside pictures."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict


@functools.cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt  # here, because only pages need it

    markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    # a picture would tell its server who reads this, so it is shown as a link
    markdown.disable("image")
    markdown.add_render_rule("link_open", _link_open)
    return markdown


def _link_open(self: RendererHTML, tokens: list[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    tokens[index].attrSet("target", "_blank")
    return self.renderToken(tokens, index, options, env)


def to_html(text: str) -> str:
    """The text as HTML; whatever is not markdown comes out escaped."""
    return str(_markdown().render(text))
