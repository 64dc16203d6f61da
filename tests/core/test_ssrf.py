"""No URL that others influence leads to ourselves, a neighbour or a cloud's metadata service."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.core import sockets
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import MindBotError, Rejected
from mindbot_tasks.core.http import PUBLIC, Destinations, Http
from mindbot_tasks.core.ssrf import ANYWHERE, is_public
from tests.core.far_side import answering, far_side

CORPUS = """
http://example.com/
file:///etc/passwd
gopher://example.com/
ftp://example.com/
//example.com/
https:///x
https://127.0.0.1/
https://127.1/
https://0/
https://0.0.0.0/
https://2130706433/
https://0x7f000001/
https://0x7f.0.0.1/
https://0177.0.0.1/
https://127.0.0.1.
https://010.8.8.8/
https://10.0.0.1/
https://172.16.0.1/
https://192.168.1.1/
https://100.64.0.1/
https://169.254.169.254/latest/meta-data/
https://169.254.170.2/
https://2852039166/
https://[::1]/
https://[::]/
https://[::127.0.0.1]/
https://[::ffff:127.0.0.1]/
https://[::ffff:a9fe:a9fe]/
https://[64:ff9b::7f00:1]/
https://[64:ff9b::169.254.169.254]/
https://[2002:7f00:1::]/
https://[2001:0:7f00:1::]/
https://[fe80::1]/
https://[fe80::1%25eth0]/
https://[fd00:ec2::254]/
https://[ff02::1]/
https://224.0.0.1/
https://255.255.255.255/
https://198.18.0.1/
https://user@example.com/
https://user:pw@127.0.0.1/
https://example.com\\@127.0.0.1/
https://example.com @127.0.0.1/
https://exa%6dple.com/
https://１２７.０.０.１/
https://ⓔxample.com/
https://example.com:99999/
https://example.com:port/
https://exa\tmple.com/
https://-x.example/
""".strip().split("\n")


@pytest.mark.parametrize("url", [*CORPUS, "https://exa\nmple.com/", "https://example.com/\r\nX: y", ""])
def test_the_corpus_is_refused_before_any_name_is_looked_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: Any, **__: Any) -> Any:
        raise AssertionError("looked up")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(Rejected) as caught:
        Http(PUBLIC).request("GET", url, deadline=Deadline(60))
    assert caught.value.kind == "invalid_request"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("::ffff:10.0.0.1", False),
        ("fc00::1", False),
    ],
)
def test_addresses(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_makes_it_no_more_public(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    if not is_public(address):
        assert not is_public(ipaddress.IPv6Address((0xFFFF << 32) | number))
    for wrapped in ((0x64FF9B << 96) | number, (0x2002 << 112) | (number << 80), number):
        assert not is_public(ipaddress.IPv6Address(wrapped))


@given(st.text(max_size=60))
def test_any_text_is_allowed_or_refused(url: str) -> None:
    for destinations in (PUBLIC, ANYWHERE, Destinations.only(["a.example"])):
        try:
            destinations.check_url(url)
        except Rejected:
            continue


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    sockets._names.clear()
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *args: Any, **options: Any) -> Any:
        if host != "rebound.example":
            return real(host, port, *args, **options)
        return [entry for address in addresses for entry in real(address, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("169.254.169.254",), ("::1",)])
def test_a_name_that_leads_inside_is_refused_at_connect(
    addresses: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, *addresses)
    with pytest.raises(Rejected) as caught:
        Http(PUBLIC).request("GET", "https://rebound.example/", deadline=Deadline(60))
    assert caught.value.code == "destination"


def test_the_address_that_was_checked_is_the_one_that_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets._names.clear()
    answers = ["8.8.8.8", "127.0.0.1"]  # what a rebinding name server says, one after the other
    dialled: list[str] = []

    def look_up(host: str, port: int, *_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    def dial(address: tuple[Any, ...], *_: Any) -> Any:
        dialled.append(address[0])
        raise OSError("not from here")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(sockets, "_dial", dial)
    with pytest.raises(MindBotError):
        Http(PUBLIC).request("GET", "https://rebound.example/", deadline=Deadline(60))
    assert dialled == ["8.8.8.8"]


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://oapi.dingtalk.com/robot/sendBySession?session=1", True),
        ("https://OAPI.dingtalk.com/x", True),
        ("https://oapi.dingtalk.com:443/x", True),
        ("https://a.dingtalk.example/x", True),
        ("http://127.0.0.1:8801/x", True),
        ("https://oapi.dingtalk.com:6379/x", False),
        ("https://oapi.dingtalk.com.evil.example/", False),
        ("https://evil.example/?oapi.dingtalk.com", False),
        ("https://evil.example#@oapi.dingtalk.com", False),
        ("https://dingtalk.example/", False),
        ("http://127.0.0.1:6379/", False),
        ("http://127.0.0.1/", False),
    ],
)
def test_the_allow_list(url: str, allowed: bool) -> None:
    listed = Destinations.only(
        ["oapi.dingtalk.com", ".dingtalk.example", "127.0.0.1:8801"], public_only=False, schemes=["http", "https"]
    )
    if allowed:
        listed.check_url(url)
    else:
        with pytest.raises(Rejected):
            listed.check_url(url)


def test_an_allowed_loopback_address_can_be_called() -> None:
    with far_side(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as url:
        listed = Destinations.only([url.removeprefix("http://")], public_only=False, schemes=["http"])
        assert Http(listed).request("GET", url, deadline=Deadline(60)).status == 204
