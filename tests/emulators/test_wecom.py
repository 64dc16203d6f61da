"""The WeCom emulator: it must behave like the vendor, also where that is unpleasant."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from wechatpy.work.crypto import WeChatCrypto
from wechatpy.work.exceptions import InvalidCorpIdException

from emulators.running import Emulator, running
from emulators.wecom import WeComSender
from emulators.wecom.callbacks import App, Callback, Wrong, build, to_xml

APP = App("mindbotToken", "MindBotEmulatorKey0123456789abcdefghijklmno", "wwmindbot0000001")


@pytest.fixture(scope="module")
def process() -> Iterator[Emulator]:
    with running("wecom", "--corpid", APP.corpid, "--secret", "s") as emulator:
        yield emulator


@pytest.fixture
def wecom(process: Emulator) -> Emulator:
    process.control.reset()
    return process


def token(wecom: Emulator, http: requests.Session) -> str:
    answer = http.get(f"{wecom.url}/cgi-bin/gettoken", params={"corpid": APP.corpid, "corpsecret": "s"}).json()
    assert (answer["errcode"], answer["expires_in"] > 7000) == (0, True)
    found: str = answer["access_token"]
    return found


def send(wecom: Emulator, http: requests.Session, access_token: str = "", **changes: Any) -> dict[str, Any]:
    body = {"touser": "zhangsan", "msgtype": "text", "agentid": 7, "text": {"content": "hi"}, **changes}
    params = {"access_token": access_token or token(wecom, http)}
    answer: dict[str, Any] = http.post(f"{wecom.url}/cgi-bin/message/send", params=params, json=body).json()
    return answer


def accepted(wecom: Emulator) -> list[dict[str, Any]]:
    return wecom.control.calls(path="/cgi-bin/message/send", accepted=True)


@pytest.mark.parametrize(("corpid", "secret", "errcode"), [(APP.corpid, "wrong", 40001), ("ww2", "s", 40013)])
def test_wrong_credentials(wecom: Emulator, http: requests.Session, corpid: str, secret: str, errcode: int) -> None:
    answer = http.get(f"{wecom.url}/cgi-bin/gettoken", params={"corpid": corpid, "corpsecret": secret}).json()
    assert answer["errcode"] == errcode


def test_a_token_stays_the_same_until_it_expires(wecom: Emulator, http: requests.Session) -> None:
    first = token(wecom, http)
    assert token(wecom, http) == first
    wecom.control.call("POST", "/tokens/expire")
    assert send(wecom, http, first)["errcode"] == 42001
    assert token(wecom, http) != first
    assert wecom.control.call("GET", "/tokens") == {"fetches": 3}
    assert send(wecom, http, "nonsense")["errcode"] == 40014


def test_a_token_dies_of_age(wecom: Emulator, http: requests.Session) -> None:
    first = token(wecom, http)
    wecom.control.call("POST", "/clock", {"advance_s": 7300})
    assert send(wecom, http, first)["errcode"] == 42001


def test_an_errcode_can_be_ordered_for_the_next_calls(wecom: Emulator, http: requests.Session) -> None:
    wecom.control.call("POST", "/errcodes", {"path": "message/send", "errcode": 45009, "times": 2})
    assert [send(wecom, http)["errcode"] for _ in range(3)] == [45009, 45009, 0]
    wecom.control.call("POST", "/errcodes", {"path": "gettoken", "errcode": 45009})
    assert http.get(f"{wecom.url}/cgi-bin/gettoken").json()["errcode"] == 45009


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"agentid": "7"}, 40058),
        ({"touser": ""}, 82001),
        ({"text": {"content": ""}}, 44004),
        ({"msgtype": "hologram"}, 40008),
        ({"msgtype": "image", "image": {}}, 40007),
        ({"msgtype": "news", "news": {"articles": []}}, 40058),
        ({"msgtype": "template_card", "template_card": {"card_type": "button_interaction"}}, 40058),
        ({"msgtype": "template_card", "template_card": {"card_type": "text_notice"}}, 0),
        ({"msgtype": "markdown", "markdown": {"content": "# hi"}}, 0),
    ],
)
def test_what_a_message_needs(wecom: Emulator, http: requests.Session, changes: dict[str, Any], errcode: int) -> None:
    assert send(wecom, http, **changes)["errcode"] == errcode


def test_a_long_text_is_cut_without_a_word_but_not_without_a_record(wecom: Emulator, http: requests.Session) -> None:
    assert send(wecom, http, text={"content": "字" * 700})["errcode"] == 0
    (call,) = accepted(wecom)
    assert (call["text"], call["cut_bytes"]) == ("字" * 682, 52)


def test_unknown_members(wecom: Emulator, http: requests.Session) -> None:
    wecom.control.call("POST", "/people", {"invalid": ["Gone"]})
    assert send(wecom, http, touser="Gone|zhangsan")["invaliduser"] == "gone"
    assert send(wecom, http, touser="gone")["errcode"] == 81013
    assert [call["reached"] for call in accepted(wecom)] == [["zhangsan"]]


def test_beyond_thirty_a_minute_nothing_is_shown(wecom: Emulator, http: requests.Session) -> None:
    access_token = token(wecom, http)
    answers = [send(wecom, http, access_token, text={"content": f"{n}"}) for n in range(32)]
    assert {answer["errcode"] for answer in answers} == {0}
    assert len(accepted(wecom)) == 30
    wecom.control.call("POST", "/clock", {"advance_s": 61})
    send(wecom, http, access_token)
    assert len(accepted(wecom)) == 31


def test_the_duplicate_check_drops_what_is_equal_for_a_while(wecom: Emulator, http: requests.Session) -> None:
    access_token = token(wecom, http)

    def check(**more: Any) -> None:
        send(wecom, http, access_token, enable_duplicate_check=1, duplicate_check_interval=100, **more)

    check()
    check()
    check(text={"content": "hi\u200b"})
    check(touser="lisi")
    send(wecom, http, access_token)
    assert [call["text"] for call in accepted(wecom)] == ["hi", "hi\u200b", "hi", "hi"]
    wecom.control.call("POST", "/clock", {"advance_s": 101})
    check()
    assert len(accepted(wecom)) == 5


def test_files_go_up_and_down(wecom: Emulator, http: requests.Session) -> None:
    params = {"access_token": token(wecom, http), "type": "file"}
    url = f"{wecom.url}/cgi-bin/media"
    up = http.post(f"{url}/upload", params=params, files={"media": ("a.txt", b"some bytes", "text/plain")}).json()
    down = http.get(f"{url}/get", params={**params, "media_id": up["media_id"]})
    assert (down.content, down.headers["Content-Disposition"]) == (b"some bytes", 'attachment; filename="a.txt"')
    assert http.get(f"{url}/get", params={**params, "media_id": "M"}).json()["errcode"] == 40007
    wecom.control.call("POST", "/clock", {"advance_s": 3 * 86_400})
    params["access_token"] = token(wecom, http)
    assert http.get(f"{url}/get", params={**params, "media_id": up["media_id"]}).json()["errcode"] == 40007
    nameless = http.post(f"{url}/upload", params=params, files={"media": (None, b"some bytes")}).json()
    assert nameless["errcode"] == 44001
    given = wecom.control.call("POST", "/media", {"base64": base64.b64encode(b"amr").decode(), "name": "v.amr"})
    assert http.get(f"{url}/get", params={**params, **given}).content == b"amr"


# callbacks


class Door:
    """A webhook that keeps what comes and answers with the statuses it is given, then with 200."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []
        self.statuses: list[int] = []
        self.delay_s = 0.0
        self.closed = threading.Event()
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                door.calls.append((self.path, body))
                door.closed.wait(door.delay_s)
                self.send_response(door.statuses.pop(0) if door.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/webhooks/wecom"


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    thread = threading.Thread(target=door.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield door
    door.closed.set()
    door.server.shutdown()
    thread.join()
    door.server.server_close()


def opened(path: str, body: bytes) -> str:
    query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
    crypto = WeChatCrypto(APP.token, APP.encoding_aes_key, APP.corpid)
    if "echostr" in query:
        return str(crypto.check_signature(query["msg_signature"], query["timestamp"], query["nonce"], query["echostr"]))
    return str(crypto.decrypt_message(body, query["msg_signature"], query["timestamp"], query["nonce"]))


def test_a_callback_is_what_a_client_of_wecom_can_open(wecom: Emulator, door: Door) -> None:
    sent = wecom.control.call(
        "POST", "/send", {"url": door.url, "token": APP.token, "encoding_aes_key": APP.encoding_aes_key,
                          "corpid": APP.corpid, "text": "你好 ]]> <", "user": "lisi"},
    )  # fmt: skip
    assert sent["status"] == 200
    plain = opened(*door.calls[0])
    assert "你好 ]]&gt; &lt;" in plain
    assert f"<MsgId><![CDATA[{sent['msg_id']}]]></MsgId>" in plain


def test_what_is_wrong_on_purpose_is_wrong(door: Door) -> None:
    def post(wrong: Wrong) -> tuple[str, bytes]:
        made = build(Callback(wrong=wrong), APP)
        return f"/?{made.query}", made.body

    with pytest.raises(InvalidCorpIdException):
        opened(*post("receiver"))
    for wrong in ("signature", "padding", "no_xml", "unsigned"):
        with pytest.raises(Exception):  # noqa: B017, PT011 - each in its own way
            opened(*post(wrong))
    assert "ENTITY" in post("bomb")[1].decode()


def test_the_same_message_comes_up_to_three_times_more_when_nobody_answers(door: Door) -> None:
    door.statuses = [500, 503]
    with WeComSender(door.url, APP) as sender:
        assert [answer.status for answer in sender.send().answers] == [500, 503, 200]
        door.statuses = [500] * 9
        assert len(sender.send().answers) == 4
    assert len({opened(path, body) for path, body in door.calls}) == 2


def test_an_answer_that_takes_too_long_is_none(door: Door) -> None:
    door.delay_s = 60.0
    with WeComSender(door.url, APP, timeout_s=0.1, repeats=1) as sender:
        assert [answer.status for answer in sender.send().answers] == [0, 0]


def test_an_address_is_checked_with_an_echo_that_is_percent_encoded(door: Door) -> None:
    with WeComSender(door.url, APP) as sender:
        sender.verify("4242424242")
    path, body = door.calls[0]
    assert "+" not in path
    assert opened(path, body) == "4242424242"


def test_xml_has_texts_numbers_lists_and_objects() -> None:
    assert to_xml({"A": "x", "B": 1, "C": {"D": ["y", "z"]}}) == (
        "<xml><A><![CDATA[x]]></A><B>1</B><C><D><![CDATA[y]]></D><D><![CDATA[z]]></D></C></xml>"
    )


@pytest.mark.parametrize(
    "values",
    [{}, {"url": "http://x/"}, {"url": "http://x/", "encoding_aes_key": "short"}, {"url": "http://x/", "z": 1}],
)
def test_a_wrong_control_call_is_told_so(wecom: Emulator, values: dict[str, Any]) -> None:
    with pytest.raises(requests.HTTPError):
        wecom.control.call("POST", "/send", values)
