"""Whether an answer is none: empty, or a refusal in so many words. Pure."""

from __future__ import annotations

import re

#: a long answer that begins with an apology says more than no
_MOST_CHARS = 500
_REFUSALS = re.compile(
    r"\W*(?:"
    r"(?:i['’]?m|i am)(?: very| really| so)? sorry[,.]?(?: but)? (?:i|we|this|that|as)(?:['’]m| am)? ?"
    r"(?:can['’]?t|cannot|can not|unable|not able|won['’]?t|must decline|an ai)"
    r"|(?:sorry|unfortunately|apologies|i apologi[sz]e)[,.]?(?: but)?,? (?:i|we)(?: am|['’]m)? ?"
    r"(?:can['’]?t|cannot|can not|unable|not able|won['’]?t)"
    r"|i (?:can['’]?t|cannot|can not|won['’]?t|am unable to|am not able to|must decline to|have to decline)"
    r" (?:help|assist|answer|provide|comply|fulfil|do that|discuss|continue|support|create|generate)"
    r"|as an ai(?: language model| assistant)?,? i (?:can['’]?t|cannot|am unable|am not able|don['’]?t)"
    r"|(?:非常|很)?(?:抱歉|对不起|不好意思)[，,。！!]?\s*(?:但)?(?:我|作为|这个问题|该问题|您的问题)[^。！!]{0,20}(?:无法|不能|不便|没办法|拒绝|暂时)"
    r"|(?:我|本助手)(?:无法|不能|不便)(?:回答|提供|协助|帮助|满足|讨论|处理|完成)"
    r"|作为(?:一个|一名|一款)?\s*(?:ai|人工智能|语言模型|大模型|智能助手)[^。！!]{0,30}(?:无法|不能|不便)"
    r")",
    re.IGNORECASE,
)


def is_refusal(text: str) -> bool:
    """Whether a short answer begins by saying that there will be none."""
    return len(text) <= _MOST_CHARS and _REFUSALS.match(text.lstrip()[:200]) is not None
