"""What a file is, judged by its first bytes and never by its name; pure."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

#: this much of the beginning is enough
HEAD_BYTES = 8192
UNKNOWN = "application/octet-stream"
EXECUTABLE = "application/x-executable"

_USUAL_NAMES = {
    "audio/x-wav": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/x-aiff": "audio/aiff",
    "application/x-msdownload": EXECUTABLE,
    "application/x-mach-binary": EXECUTABLE,
    "application/java-vm": EXECUTABLE,
    "application/x-deb": EXECUTABLE,
    "application/x-rpm": EXECUTABLE,
    "application/wasm": EXECUTABLE,
    "application/x-google-chrome-extension": EXECUTABLE,
}
_OWN_SIGNATURES = (
    (b"#!AMR", "audio/amr"),
    (b"\x02#!SILK_V3", "audio/silk"),  # as WeChat writes it
    (b"#!SILK_V3", "audio/silk"),
    (b"#!", EXECUTABLE),
    (b"MZ", EXECUTABLE),
    (b"\xca\xfe\xba\xbe", EXECUTABLE),  # Java classes and universal Mach-O
    (b"\xfe\xed\xfa\xce", EXECUTABLE),
    (b"\xfe\xed\xfa\xcf", EXECUTABLE),
    (b"\xce\xfa\xed\xfe", EXECUTABLE),
    (b"\xcf\xfa\xed\xfe", EXECUTABLE),
    (b"\x00asm", EXECUTABLE),
    (b"dex\n", EXECUTABLE),
    (b"L\x00\x00\x00\x01\x14\x02\x00", EXECUTABLE),  # a Windows shortcut runs what it points to
)
#: browsers run what is in them; taken only where the settings name them in full
_ACTIVE = frozenset({"text/html", "image/svg+xml"})


def sniff(head: bytes) -> str:
    """The media type of a file that begins so; UNKNOWN if nothing fits."""
    for signature, media_type in _OWN_SIGNATURES:
        if head.startswith(signature):
            return media_type
    import filetype  # the web side knows files only by their ids

    found = filetype.guess_mime(head) if head else None
    if found is not None:
        return _USUAL_NAMES.get(found, str(found))
    return _text_type(head)


def is_taken(media_type: str, allowed: Iterable[str]) -> bool:
    """Whether the settings let this type in; `image/*` and `application/vnd.*` stand for all that begin so."""
    if media_type == EXECUTABLE:
        return False
    for wanted in allowed:
        if wanted == media_type:
            return True
        if wanted.endswith("*") and media_type.startswith(wanted[:-1]) and media_type not in _ACTIVE:
            return True
    return False


def _text_type(head: bytes) -> str:
    text = next((text for encoding in ("utf-8-sig", "gb18030") if (text := _decoded(head, encoding))), "")
    if not text or any(ord(letter) < 32 and letter not in "\t\n\r\f\x1b" for letter in text):
        return UNKNOWN
    beginning = text.lstrip()[:500].lower()
    if beginning.startswith(("<!doctype html", "<html", "<script", "<head", "<body")):
        return "text/html"
    if beginning.startswith(("<svg", "<?xml", "<!--", "<!doctype svg")) and "<svg" in text.lower():
        return "image/svg+xml"
    return "text/plain"


def _decoded(head: bytes, encoding: str) -> str:
    """ "" if it is something else; the last character may be cut off."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head, final=False)
    except UnicodeDecodeError:
        return ""
