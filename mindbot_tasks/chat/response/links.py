"""Links and pictures of an answer that would harm whoever sees them. Pure.

Looks for what stands behind `](`, for definitions, for HTML tags and for bare addresses; it parses no more markdown
than that, so whatever a reader's markdown makes of the brackets before it cannot matter.
"""

from __future__ import annotations

import html
import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from mindbot_tasks.chat.response.runs import trailing_run

Verdict = Literal["fine", "unsafe", "not_shown"]

_UNSAFE = frozenset(
    [
        "javascript",
        "vbscript",
        "livescript",
        "data",
        "file",
        "blob",
        "filesystem",
        "about",
        "view-source",
        "jar",
        "mhtml",
        "res",
        "search-ms",
    ]
)
_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*):")
_PRIVATE_ENDINGS = (".local", ".localhost", ".internal", ".intranet", ".lan", ".home", ".corp", ".home.arpa")
_MOST_CHARS = 2000  # of an address with its title
_MOST_LINKS = 1000
# brackets, what takes their meaning from them, and the end of a paragraph
_BRACKETS = re.compile(r"\\.|[\[\]]|\n(?=\n)")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n]+\]:[ \t]*(?P<url>\S+)[^\n]*(?:\n|\Z)", re.MULTILINE)
_TAG = re.compile(r"</?(?P<name>[A-Za-z][A-Za-z0-9]*)(?P<rest>[^<>]*)>")
_ADDRESS = re.compile(
    r"""(?:href|src|srcset|action|data|poster|background)\s*=\s*["']?\s*(?P<url>[^"'\s>]+)""", re.IGNORECASE
)
_HANDLER = re.compile(r"\son[a-z]+\s*=", re.IGNORECASE)
_AUTOLINK = re.compile(r"<(?P<url>[A-Za-z][A-Za-z0-9+.\-]{1,31}:[^<>\s]*)>")
_HARMFUL = frozenset(
    [
        "script",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "meta",
        "link",
        "svg",
        "style",
        "frame",
        "frameset",
        "applet",
    ]
)
_BARE = re.compile(r"https?://(?:\[[\w:.%]+\])?(?:(?![<>\"'`\]])[!-~])*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LinkFilter:
    """What may stay a link or a picture."""

    unsafe: bool = True  #: take out javascript:, data: and the like
    private: bool = False  #: take out links to this machine and its networks
    image_hosts: tuple[str, ...] = ()  #: whose pictures are shown; empty: everybody's

    def undecided(self, text: str) -> int:
        """From here on a growing text cannot be judged yet."""
        if not (self.private or "[" in text or "]" in text or "<" in text):  # nearly every answer, nearly always
            return len(text) - text.endswith(("!", "\\"))
        at = len(text)
        while True:  # what is held back for one reason may leave a link open that was complete
            held = text[:at]
            start = held.rfind("\n\n") + 1  # links end with their paragraph
            end = min(_open_bracket(held, start), _open_tag(held, start))
            if self.private:
                end = trailing_run(held[:end])  # an address is judged as a whole
            if end >= at:
                return at
            at = end

    def clean(self, text: str) -> tuple[str, int]:
        """The text without what may not stay, and how much that was."""
        before = text
        count = 0
        if "](" in text:
            text, count = self._inline(text)
        if "]:" in text:
            text = _DEFINITION.sub(lambda one: "" if self._judge(one["url"]) == "unsafe" else one[0], text)
        if "<" in text:
            text = self._tags(text)
        if self.private and "://" in text:
            text = _BARE.sub(lambda link: "…" if self._judge(link[0]) == "unsafe" else link[0], text)
        return text, max(count, int(text != before))

    def _judge(self, url: str, *, image: bool = False) -> Verdict:
        plain = _plain(url)
        if self.unsafe and _is_unsafe(plain):
            return "unsafe"
        host = _host(plain)
        if self.private and host is not None and is_private(host):
            return "unsafe"
        if image and self.image_hosts and host is not None and not _is_below(host, self.image_hosts):
            return "not_shown"
        return "fine"

    def _inline(self, text: str) -> tuple[str, int]:
        edits: list[tuple[int, int, str]] = []
        count = 0
        if text.count("](") > _MOST_LINKS:  # nobody writes so many for people
            return text.replace("](", "] ("), 1
        for opened, at, close in _links(text):
            inside = text[at + 2 : close]
            image = opened > 0 and text[opened - 1] == "!"
            verdict = self._judge(_destination(inside), image=image)
            if self.unsafe and _is_unsafe(_plain(inside)):
                verdict = "unsafe"
            count += verdict != "fine"
            if verdict == "unsafe" and opened < 0:
                edits.append((at + 1, close + 1, ""))
            elif verdict == "unsafe":
                edits.append((opened - image, opened + 1, ""))
                edits.append((at, close + 1, ""))
            elif verdict == "not_shown":
                label = "" if text[opened + 1 : at].strip() else (_host(_plain(_destination(inside))) or "")
                edits.append((opened - 1, opened, ""))
                edits.append((at, at, label))
        for begin, end, instead in sorted(edits, reverse=True):
            text = text[:begin] + instead + text[end:]
        return text, count

    def _tags(self, text: str) -> str:
        def judge(tag: re.Match[str]) -> str:
            name = tag["name"].lower()
            urls = _ADDRESS.findall(html.unescape(tag["rest"]))
            verdicts = {self._judge(url, image=name == "img") for url in urls}
            handlers = _HANDLER.search(tag["rest"]) is not None
            harmful = self.unsafe and (name in _HARMFUL or handlers)
            return "" if harmful or verdicts & {"unsafe", "not_shown"} else tag[0]

        text = _AUTOLINK.sub(lambda link: "" if self._judge(link["url"]) == "unsafe" else link[0], text)
        return _TAG.sub(judge, text)


def is_private(host: str) -> bool:
    """Whether a host is this machine, one of a network behind it, or was masked: a model repeats what it was told."""
    host = host.strip("[]").rstrip(".").lower()
    if "*" in host:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if re.fullmatch(r"(?:0x[0-9a-f]+|\d+)(?:\.(?:0x[0-9a-f]+|\d+)){0,3}", host):
            return True  # 127.1 and 0x7f000001 are addresses too, and nobody honest writes them so
        return "." not in host or host.endswith(_PRIVATE_ENDINGS)
    return not address.is_global


def _is_unsafe(plain: str) -> bool:
    scheme = _SCHEME.match(plain)
    return scheme is not None and (scheme[1] in _UNSAFE or scheme[1].startswith("ms-"))


def _plain(url: str) -> str:
    """As a browser reads it: entities and escapes resolved, no blanks and control characters, small letters."""
    read = html.unescape(unquote(html.unescape(url)))
    return "".join(char for char in read if char > " " and char.isprintable()).lower().lstrip("<")


def _host(plain: str) -> str | None:
    try:
        return urlsplit(f"http:{plain}" if plain.startswith("//") else plain).hostname
    except ValueError:
        return "invalid"  # a single word: nobody's


def _is_below(host: str, hosts: Sequence[str]) -> bool:
    return any(host == one or host.endswith(f".{one}") for one in hosts)


def _destination(inside: str) -> str:
    """The address between the parentheses, without its title."""
    inside = inside.strip()
    if inside.startswith("<"):
        return inside[1:].partition(">")[0]
    return inside.split(maxsplit=1)[0] if inside else ""


def _closing(text: str, start: int) -> int | None:
    """The parenthesis that ends an address; None if none does within its paragraph."""
    depth = 0
    for at in range(start, min(len(text), start + _MOST_CHARS)):
        char = text[at]
        if char == "(":
            depth += 1
        elif char == ")":
            if depth == 0:
                return at
            depth -= 1
        elif char == "\n" and text[at + 1 : at + 2] == "\n":
            return None
    return None


def _links(text: str) -> Iterator[tuple[int, int, int]]:
    """Each `[label](address)`: where its brackets and its last parenthesis stand; -1: there is no first bracket."""
    opened: list[int] = []
    at = 0
    while mark := _BRACKETS.search(text, at):
        at = mark.end()
        if mark[0] == "[":
            opened.append(mark.start())
        elif mark[0] == "]":
            begin = opened.pop() if opened else -1
            if text[at : at + 1] == "(" and (close := _closing(text, at + 1)) is not None:
                yield begin, mark.start(), close
                at = close + 1
        elif mark[0][0] == "\n":
            opened.clear()


def _open_bracket(text: str, start: int) -> int:
    """The first bracket of the last paragraph that may still become a link."""
    opened: list[int] = []
    at = start
    undecided = len(text)
    if text.count("](", start) > _MOST_LINKS:
        return undecided
    while mark := _BRACKETS.search(text, at):
        at = mark.end()
        if mark[0] == "[":
            opened.append(mark.start())
        elif mark[0] == "]":
            begin = opened.pop() if opened else mark.start()
            after = text[at : at + 1]
            close = _closing(text, at + 1) if after == "(" else at
            defining = after == ":" and not text[text.rfind("\n", 0, begin) + 1 : begin].strip()
            if not after or close is None or (defining and text.find("\n", at) < 0):
                undecided = begin
                break
            if after == "(":
                at = close + 1
    first = min([undecided, *opened[:1]])
    if first == len(text):
        return first - 1 if text.endswith(("!", "\\")) else first
    return first - 1 if first and text[first - 1] == "!" else first


def _open_tag(text: str, start: int) -> int:
    at = text.rfind("<", start)
    if at >= 0 and ">" not in text[at:] and (at + 1 == len(text) or text[at + 1].isalpha() or text[at + 1] == "/"):
        return at
    return len(text)
