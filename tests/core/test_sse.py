"""Server-sent events mean the same however the bytes are cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.core.sse import Event, events, lines


def cut(data: bytes, at: list[int]) -> Iterator[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    return (data[begin:end] for begin, end in itertools.pairwise(edges))


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [Event("", "a")]),
        (b"data:a\r\n\r\n", [Event("", "a")]),
        (b"data: a\r\rdata: b\r\r", [Event("", "a"), Event("", "b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event("", "a")]),
        (b"event: x\ndata: a\ndata: b\nid: 1\n\n", [Event("x", "a\nb")]),
        (b": ping\n\nevent: ping\n\ndata: a\n\n", [Event("", "a")]),
        (b"data: [DONE]", [Event("", "[DONE]")]),
        (b"data: \xff\n\n", [Event("", "\ufffd")]),
        ("data: \u2028x\x0b\x0c\x1e\x85\n\n".encode(), [Event("", "\u2028x\x0b\x0c\x1e\x85")]),
        (b"", []),
    ],
)
def test_the_table(stream: bytes, expected: list[Event]) -> None:
    assert list(events([stream])) == expected
    assert list(events(bytes([byte]) for byte in stream)) == expected


_text = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=20)


@given(st.lists(_text, max_size=6), st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 500), max_size=12))
def test_cuts_change_nothing(texts: list[str], end: str, at: list[int]) -> None:
    stream = "".join(f"event: t{end}data: {text}{end}{end}" for text in texts).encode()
    assert list(events(cut(stream, at))) == [Event("t", text) for text in texts]


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_any_bytes_are_survived(chunks: list[bytes]) -> None:
    joined = b"".join(lines(chunks))
    assert joined == b"".join(chunks).replace(b"\r", b"").replace(b"\n", b"")
    list(events(chunks))


@pytest.mark.parametrize("chunk", [b"x" * 100, b"data: " + b"x" * 50 + b"\n"], ids=["no line end", "many lines"])
def test_a_huge_event_is_cut_off(chunk: bytes) -> None:
    with pytest.raises(Unavailable) as caught:
        list(events((chunk for _ in range(1000)), max_bytes=1000))
    assert caught.value.kind == "protocol"
