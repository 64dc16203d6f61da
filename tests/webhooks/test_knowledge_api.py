"""Documents by API: who may hand them in, and what becomes of them."""

from __future__ import annotations

import flask.testing
import pytest

from mindbot_tasks.core.settings import ChromaSettings
from mindbot_tasks.stores import knowledge
from mindbot_tasks.stores.database import reading
from tests.webhooks.conftest import API_KEY, Configure
from webhooks.app import create_app

KEY = {"Authorization": f"Bearer {API_KEY}"}
FILES, DOCUMENTS = "/api/v1/knowledge/files", "/api/v1/knowledge/documents"


@pytest.fixture
def client(configure: Configure) -> flask.testing.FlaskClient:
    return create_app(configure(chromadb=ChromaSettings())).test_client()


def test_a_file_is_handed_in_listed_replaced_and_taken_away(client: flask.testing.FlaskClient) -> None:
    put = client.put(f"{FILES}/handbook/../请假.md?base=hr-docs", data="# 请假".encode(), headers=KEY)
    assert (put.status_code, put.get_json()["fresh"]) == (202, True)
    number = put.get_json()["id"]
    shown = client.get(f"{DOCUMENTS}/{number}", headers=KEY).get_json()
    assert (shown["base"], shown["source"], shown["title"], shown["state"]) == (
        "hr-docs", "handbook/请假.md", "请假", "queued",
    )  # fmt: skip
    with reading() as connection:
        assert knowledge.content(connection, number) == "# 请假".encode()
    again = client.put(f"{FILES}/handbook/请假.md?base=hr-docs", data=b"# other", headers=KEY).get_json()
    assert again == {"id": number, "fresh": False}
    assert len(client.get(f"{DOCUMENTS}?base=hr-docs", headers=KEY).get_json()["documents"]) == 1
    assert client.get(f"{DOCUMENTS}?base=other-docs", headers=KEY).get_json() == {"documents": []}
    assert client.delete(f"{DOCUMENTS}/{number}", headers=KEY).status_code == 202
    assert client.get(f"{DOCUMENTS}/{number}", headers=KEY).get_json()["state"] == "removing"
    assert client.delete(f"{DOCUMENTS}/999", headers=KEY).status_code == 404


def test_an_address_is_noted_for_whoever_reads_documents(client: flask.testing.FlaskClient) -> None:
    body = {"url": "https://example.com/handbook.html"}
    number = client.post(DOCUMENTS, json=body, headers=KEY).get_json()["id"]
    shown = client.get(f"{DOCUMENTS}/{number}", headers=KEY).get_json()
    assert (shown["base"], shown["kind"], shown["source"]) == ("mindbot_knowledge", "url", body["url"])
    for wrong in ("file:///etc/passwd", "gopher://x", "https://"):
        assert client.post(DOCUMENTS, json={"url": wrong}, headers=KEY).status_code == 422
    assert client.post(DOCUMENTS, json=body | {"base": "../x"}, headers=KEY).status_code == 422


def test_only_a_key_lets_anybody_add_see_or_remove(client: flask.testing.FlaskClient) -> None:
    client.get("/")  # the playground's cookie
    assert client.put(f"{FILES}/a.md", data=b"x").status_code == 403
    assert client.get(DOCUMENTS).status_code == 403
    assert client.delete(f"{DOCUMENTS}/1").status_code == 403
    client.delete_cookie("mindbot_session")
    assert client.put(f"{FILES}/a.md", data=b"x").status_code == 401
    assert (
        client.post(DOCUMENTS, json={"url": "https://example.com"}, headers={"Authorization": "Bearer no"}).status_code
        == 401
    )


def test_what_is_too_large_empty_or_for_nobody_is_refused(
    client: flask.testing.FlaskClient, configure: Configure
) -> None:
    assert client.put(f"{FILES}/a.md", data=b"x" * 3_000_000, headers=KEY).status_code == 202  # beyond a webhook's body
    assert client.put(f"{FILES}/a.md", data=b"x" * 20_000_001, headers=KEY).status_code == 413
    assert client.put(f"{FILES}/a.md", data=b"", headers=KEY).status_code == 400
    off = create_app(configure(chromadb=None)).test_client()
    assert off.put(f"{FILES}/a.md", data=b"x", headers=KEY).status_code == 409
