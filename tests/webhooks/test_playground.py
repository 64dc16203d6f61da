"""The playground: who gets it, how its messages get in, and what a person sees in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from typing import Any

import flask.testing
import pytest
from sqlalchemy import select
from werkzeug.serving import make_server

from mindbot_tasks import chains
from mindbot_tasks.core.settings import ChromaSettings
from mindbot_tasks.model.message import State
from mindbot_tasks.stores import knowledge, live
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.tables import MessageRow
from tests.webhooks.conftest import Configure
from tests.webhooks.ledger import advance, answer
from webhooks.app import create_app
from webhooks.console.words import WORDS

SAFE_AND_UNSAFE = (
    "## Hello\n\nThis is **bold**, `code` and [a link](https://example.org).\n\n"
    "<img src=x onerror=\"document.title='broken in'\"><script>document.title='broken in'</script>\n\n"
    "[bad](javascript:alert(1)) ![spy](https://spy.example/pixel.png)\n"
)


def token_of(client: flask.testing.FlaskClient) -> str:
    found = re.search(r'name="csrf-token" content="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


def test_a_message_from_the_page_goes_through_the_signed_door(
    client: flask.testing.FlaskClient, started: list[int]
) -> None:
    response = client.post("/playground/messages", json={"text": "hello"}, headers={"X-CSRFToken": token_of(client)})
    assert response.status_code == 202
    assert started == [response.get_json()["id"]]
    with client.session_transaction() as session, reading() as connection:
        row = connection.execute(select(MessageRow)).one()
        assert (row.platform, row.bot, row.conversation_ref) == ("chat", "playground", session["conversation"])


def test_a_new_conversation_is_a_new_one(client: flask.testing.FlaskClient) -> None:
    headers = {"X-CSRFToken": token_of(client)}
    with client.session_transaction() as session:
        before = session["conversation"]
    assert client.post("/playground/conversations", headers=headers).status_code == 204
    with client.session_transaction() as session:
        assert session["conversation"] != before


@pytest.mark.parametrize("path", ["/playground/messages", "/playground/conversations"])
def test_another_site_cannot_send_in_somebody_s_name(
    client: flask.testing.FlaskClient, started: list[int], path: str
) -> None:
    client.get("/")
    response = client.post(path, json={"text": "hello"})
    assert response.status_code == 400
    assert response.get_json()["error"]["reason"] == "csrf"
    assert started == []


@pytest.mark.parametrize(
    ("body", "status"), [({"text": "  "}, 400), ({"text": 7}, 400), ([], 400), ({"text": "x" * 8001}, 413)]
)
def test_what_cannot_be_a_message_is_refused(client: flask.testing.FlaskClient, body: Any, status: int) -> None:
    response = client.post("/playground/messages", json=body, headers={"X-CSRFToken": token_of(client)})
    assert response.status_code == status


@pytest.mark.parametrize(
    ("changes", "web", "remote", "status"),
    [
        ({}, {}, "127.0.0.1", 200),
        ({}, {}, "192.0.2.7", 404),
        ({}, {"playground": True}, "192.0.2.7", 200),
        ({}, {"playground": False}, "127.0.0.1", 404),
        ({"production": True}, {}, "127.0.0.1", 404),
        ({"secret_key": ""}, {"playground": True}, "127.0.0.1", 404),
    ],
    ids=["this machine", "another machine", "opened", "closed", "production", "no secret key"],
)
def test_the_playground_is_there_only_where_it_should_be(
    configure: Configure, changes: dict[str, Any], web: dict[str, Any], remote: str, status: int
) -> None:
    client = create_app(configure(web=web, **changes)).test_client()
    assert client.get("/", environ_overrides={"REMOTE_ADDR": remote}).status_code == status


@pytest.mark.parametrize(
    ("accept", "address", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.5", "/", "zh"),
        ("fr, en;q=0.5", "/", "en"),
        ("fr", "/", "en"),
        ("zh-CN", "/?lang=en", "en"),
        ("en", "/?lang=zh", "zh"),
        ("en", "/?lang=xx", "en"),
    ],
)
def test_the_page_speaks_the_reader_s_language(
    client: flask.testing.FlaskClient, accept: str, address: str, language: str
) -> None:
    page = client.get(address, headers={"Accept-Language": accept}).text
    assert str(WORDS[language]["hello"]) in page


def test_both_languages_say_the_same_things() -> None:
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    assert WORDS["en"]["documents_states"].keys() == WORDS["zh"]["documents_states"].keys()  # type: ignore[attr-defined]
    assert WORDS["en"]["states"].keys() == WORDS["zh"]["states"].keys() == {str(state) for state in State}  # type: ignore[attr-defined]


def test_the_page_holds_no_inline_script_or_style(client: flask.testing.FlaskClient) -> None:
    page = client.get("/").text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page)
    assert not re.search(r"(src|href)=\"(https?:)?//", page)


# ---- in a browser


@pytest.fixture
def address(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The playground on a port, with a stand-in for the workers that answers slowly enough to watch."""
    app = create_app(configure(chromadb=ChromaSettings()))
    workers: list[threading.Thread] = []

    def work(message_id: int, *_: Any) -> bool:
        workers.append(threading.Thread(target=_answer_slowly, args=(message_id,)))
        workers[-1].start()
        return True

    monkeypatch.setattr(chains, "start", work)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    _may_finish.set()
    for worker in workers:
        worker.join(10)
    server.shutdown()
    thread.join(10)
    server.server_close()


_may_finish = threading.Event()


def _answer_slowly(message_id: int) -> None:
    advance(message_id, "classified", label="general_chat", confidence=0.8, classified_at=MessageRow.received_at + 20)
    live.tell_state("chat", message_id, State.CLASSIFIED)
    growing = True
    while growing:
        live.LiveText(message_id)("Growing **tex")
        growing = not _may_finish.wait(0.1)
    answer(message_id, SAFE_AND_UNSAFE)
    live.tell_state("chat", message_id, State.REPLIED)


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    """A browser on the playground; complains at the end about errors and about calls to other hosts."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on this machine")
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    arguments = (
        "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update"
    )
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=[f"--{name}" for name in [*arguments.split(), "disable-component-update"]]
        )
        page = browser.new_page(locale="en-GB", viewport={"width": 1280, "height": 800})
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on(
            "request", lambda call: None if call.url.startswith((address, "data:")) else complaints.append(call.url)
        )
        page.goto(address)
        yield page
        browser.close()
    # readiness is 503 here, because no worker lives; browsers report that as an error of the page
    assert [text for text in complaints if "503" not in text] == []


@pytest.mark.browser
@pytest.mark.enable_socket
def test_a_person_writes_watches_and_reads(page: Any) -> None:
    _may_finish.clear()
    page.fill("#text", "Tell me <b>something</b>")
    page.press("#text", "Enter")
    turn = page.locator(".turn")
    turn.locator(".stage.done[data-stage=classify]").wait_for()
    turn.locator(".stage.running[data-stage=generate]").wait_for()
    page.get_by_text("Growing").wait_for()
    assert turn.locator(".said").inner_text() == "Tell me <b>something</b>"
    _may_finish.set()
    turn.locator(".stage.done[data-stage=reply]").wait_for()
    answer_box = turn.locator(".answer")
    assert answer_box.locator("strong").inner_text() == "bold"
    assert answer_box.locator("a").first.get_attribute("rel") == "noopener noreferrer nofollow"
    assert answer_box.locator("img, script, a[href^='javascript']").count() == 0
    assert page.title() == "MindBot playground"
    trace = page.locator("#trace")
    assert "offline" in trace.inner_text()
    assert trace.locator(".timeline li strong").last.inner_text() == "answered"  # the word for "replied"

    page.reload()
    page.locator(".turn .stage.done[data-stage=reply]").wait_for()
    assert page.locator(".turn").count() == 1

    page.click("#new")
    page.locator("#hello").wait_for()
    assert page.locator(".turn").count() == 0


@pytest.mark.browser
@pytest.mark.enable_socket
def test_it_fits_a_phone_in_chinese_and_in_the_dark(page: Any) -> None:
    _may_finish.set()
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("a[lang=zh]")
    page.get_by_text("和机器人说点什么").wait_for()
    page.wait_for_load_state()  # before that no button does anything
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    page.locator(".suggestion").first.click()
    page.locator(".turn .stage.done[data-stage=reply]").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


class TestDocuments:
    """Dropped on the page, by somebody at this machine or who signed in."""

    def test_a_file_is_handed_in_shown_and_taken_away(self, configure: Configure) -> None:
        client = create_app(configure(chromadb=ChromaSettings())).test_client()
        headers = {"X-CSRFToken": token_of(client)}
        put = client.put("/playground/documents/请假.md", data=b"# Leave", headers=headers)
        assert put.status_code == 202
        [shown] = client.get("/playground/documents").get_json()["documents"]
        assert (shown["source"], shown["state"], shown["finished"]) == ("请假.md", "queued", False)
        assert client.put("/playground/documents/empty.md", data=b"", headers=headers).status_code == 400
        assert client.put("/playground/documents/a.md", data=b"x").get_json()["error"]["reason"] == "csrf"
        assert client.delete(f"/playground/documents/{put.get_json()['id']}", headers=headers).status_code == 204
        assert client.get("/playground/documents").get_json()["documents"][0]["state"] == "removing"
        assert client.delete("/playground/documents/999", headers=headers).status_code == 404

    @pytest.mark.parametrize(
        ("changes", "web"),
        [
            ({"chromadb": None}, {}),  # nobody would read it
            ({}, {"console": False}),
            ({}, {"public_url": "https://bot.example.com", "playground": True}),
        ],
    )
    def test_a_visitor_may_not_add(self, configure: Configure, changes: dict[str, Any], web: dict[str, Any]) -> None:
        client = create_app(configure(**({"chromadb": ChromaSettings()} | changes), web=web)).test_client()
        headers = {"X-CSRFToken": token_of(client)}
        assert "documents.js" not in client.get("/").text
        assert client.get("/playground/documents").status_code == 403
        assert client.put("/playground/documents/a.md", data=b"x", headers=headers).status_code == 403
        assert client.delete("/playground/documents/1", headers=headers).status_code == 403

    @pytest.mark.browser
    @pytest.mark.enable_socket
    def test_a_person_drops_a_file_and_sees_how_far_it_is(self, page: Any) -> None:
        page.evaluate(
            """() => {
                const carried = new DataTransfer();
                carried.items.add(new File(["# Leave"], "leave.md"));
                const event = { dataTransfer: carried, bubbles: true, cancelable: true };
                for (const kind of ["dragover", "drop"]) document.body.dispatchEvent(new DragEvent(kind, event));
            }"""
        )
        page.locator("#documents-list li[data-state=queued]", has_text="leave.md").wait_for()
        with transaction() as connection:
            work = knowledge.claim(connection, lease_ms=60_000)
            assert work is not None
            knowledge.advance(connection, work, state=knowledge.READY, chunks=1)
        page.locator("#documents-list li[data-state=ready]", has_text="leave.md").wait_for()
        page.locator("#documents-list li", has_text="leave.md").locator("button").click()
        page.locator("#documents-list li[data-state=removing]", has_text="leave.md").wait_for()
