"""The API: who gets in, what they see, how often they may ask, and that the description is true."""

from __future__ import annotations

from typing import Any

import flask.testing
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr

from mindbot_tasks.core.settings import WorkflowSettings
from mindbot_tasks.model.message import Part
from mindbot_tasks.stores import file_places, files, learning, spending
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.spending import Call, Whose
from tests.midnight import one_day
from tests.stores.files import png
from tests.webhooks.conftest import API_KEY, Configure
from tests.webhooks.ledger import a_message, a_playground_message, answer
from webhooks.app import create_app

__all__ = ["one_day"]

KEY = {"Authorization": f"Bearer {API_KEY}"}


def test_a_message_is_shown_with_its_answer_classification_and_timeline(client: flask.testing.FlaskClient) -> None:
    message_id = a_message(text="how are you?")
    before = client.get(f"/api/v1/messages/{message_id}", headers=KEY).get_json()
    assert (before["state"], before["finished"], before["answer"]) == ("received", False, None)
    answer(message_id, "**Well**, <script>alert(1)</script>")
    after = client.get(f"/api/v1/messages/{message_id}?render=html", headers=KEY).get_json()
    assert (after["state"], after["finished"], after["text"]) == ("replied", True, "how are you?")
    assert after["classification"] == {"label": "general_chat", "confidence": 0.8, "reason": "no pattern fits"}
    assert after["answer"]["text"].startswith("**Well**")
    assert "<strong>Well</strong>" in after["answer"]["html"]
    assert "<script>" not in after["answer"]["html"]
    assert [event["state"] for event in after["timeline"]] == ["received", "classified", "answered", "replied"]


def test_the_files_of_an_answer_can_be_fetched(client: flask.testing.FlaskClient) -> None:
    message_id, other = a_message(), a_message(2)
    stored = files.save([png()], name="图.png", message_id=message_id)
    data = {"file": stored.file_id, "name": "图.png", "size": stored.size}
    answer(message_id, "here", parts=[Part("image", data=data)])
    shown = client.get(f"/api/v1/messages/{message_id}", headers=KEY).get_json()["answer"]["files"]
    assert shown == [
        {"id": stored.file_id, "kind": "image", "name": "图.png", "media_type": "", "size": stored.size},
    ]
    got = client.get(f"/api/v1/messages/{message_id}/files/{stored.file_id}", headers=KEY)
    assert (got.status_code, got.content_type, got.data) == (200, "image/png", png())
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert client.get(f"/api/v1/messages/{other}/files/{stored.file_id}", headers=KEY).status_code == 404
    assert client.get(f"/api/v1/messages/{message_id}/files/{stored.file_id}").status_code == 401
    file_places.open_place("local").delete(stored.place.partition(":")[2])
    assert client.get(f"/api/v1/messages/{message_id}/files/{stored.file_id}", headers=KEY).status_code == 404


@pytest.mark.usefixtures("one_day")
def test_usage_and_budgets_are_told_to_holders_of_a_key(
    client: flask.testing.FlaskClient, configure: Configure
) -> None:
    with transaction() as connection:
        call = Call("openai", "m", input_tokens=90, output_tokens=10, cost_nano=5_000_000)
        spending.write(connection, [call, Call("openai", "m", ok=False)], Whose("chat", "default", "u1"))
    told = client.get("/api/v1/usage?by=user,purpose&days=1", headers=KEY).get_json()
    [row] = told["usage"]
    assert (row["user"], row["purpose"], row["calls"], row["failures"], row["cost"]) == ("u1", "answer", 2, 1, 0.005)
    assert (row["answers"], row["input_tokens"], row["provider"]) == (1, 90, None)
    assert (told["budgets"], 0 < told["left_of_day_s"] <= 86_400) == ([], True)
    assert client.get("/api/v1/usage?by=secret", headers=KEY).status_code == 422
    client.get("/")
    assert client.get("/api/v1/usage").status_code == 404, "not for the playground"


@pytest.mark.parametrize(
    "path", ["/api/v1/usage", "/api/v1/messages", "/api/v1/messages/1", "/api/v1/messages/1/events"]
)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {API_KEY}"}])
def test_without_a_valid_key_nothing_is_shown(
    client: flask.testing.FlaskClient, path: str, headers: dict[str, str]
) -> None:
    a_message()
    response = client.get(path, headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.get_json()["error"]["reason"] == "unauthorised"


def test_a_wrong_key_is_not_made_up_for_by_a_cookie(client: flask.testing.FlaskClient) -> None:
    client.get("/")
    assert client.get("/api/v1/messages").status_code == 200
    assert client.get("/api/v1/messages", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_the_playground_sees_its_own_conversation_only(client: flask.testing.FlaskClient) -> None:
    client.get("/")
    with client.session_transaction() as session:
        conversation = session["conversation"]
    own = a_playground_message(conversation)
    others = [a_message(), a_playground_message("playground-of-somebody-else")]
    assert [message["id"] for message in client.get("/api/v1/messages").get_json()["messages"]] == [own]
    assert client.get(f"/api/v1/messages/{own}").status_code == 200
    for message_id in others:
        assert client.get(f"/api/v1/messages/{message_id}").status_code == 404
        assert client.get(f"/api/v1/messages/{message_id}/events").status_code == 404


@pytest.mark.parametrize(
    ("remote", "headers"),
    [
        ("192.0.2.7", {}),
        ("127.0.0.1", {"Host": "attacker.example"}),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}),
    ],
    ids=["another machine", "a name that points here", "through a proxy"],
)
def test_the_cookie_counts_only_on_this_machine(
    client: flask.testing.FlaskClient, remote: str, headers: dict[str, str]
) -> None:
    client.get("/")
    cookie = client.get_cookie("mindbot_session")
    assert cookie is not None
    response = client.get(
        "/api/v1/messages",
        headers={"Cookie": f"mindbot_session={cookie.value}", **headers},
        environ_overrides={"REMOTE_ADDR": remote},
    )
    assert response.status_code == 401


def test_lists_are_filtered_and_come_in_pages(client: flask.testing.FlaskClient) -> None:
    ids = [a_message(number) for number in range(5)]
    answer(ids[0], "yes")
    seen: list[int] = []
    address = "/api/v1/messages?limit=2"
    while True:
        page = client.get(address, headers=KEY).get_json()
        seen += [message["id"] for message in page["messages"]]
        if page["next_before_id"] is None:
            break
        address = f"/api/v1/messages?limit=2&before_id={page['next_before_id']}"
    assert seen == ids[::-1]
    done = client.get("/api/v1/messages?state=replied", headers=KEY).get_json()["messages"]
    assert [message["id"] for message in done] == ids[:1]
    assert len(client.get("/api/v1/messages?unfinished=true", headers=KEY).get_json()["messages"]) == 4


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "state=lost", "before_id=-1", "colour=red"])
def test_a_wrong_filter_is_refused(client: flask.testing.FlaskClient, query: str) -> None:
    response = client.get(f"/api/v1/messages?{query}", headers=KEY)
    assert response.status_code == 422
    assert response.get_json()["error"]["reason"] == "invalid"


@pytest.mark.parametrize("broken", [False, True], ids=["counted in Redis", "counted here while Redis is away"])
def test_who_asks_too_often_is_told_when_to_come_back_but_webhooks_never_are(
    configure: Configure, broken: bool
) -> None:
    changes = {"redis_url": SecretStr("redis://127.0.0.1:1/0")} if broken else {}
    keys = [SecretStr(f"a-key-of-its-own-{broken}"), SecretStr("another-key")]
    client = create_app(configure(web={"api_keys": keys, "api_calls_per_minute": 3}, **changes)).test_client()
    headers = {"Authorization": f"Bearer {keys[0].get_secret_value()}"}
    codes = [client.get("/api/v1/messages", headers=headers).status_code for _ in range(8)]
    assert codes[:3] == [200, 200, 200]
    assert codes[-1] == 429
    refused = client.get("/api/v1/messages", headers=headers)
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.get_json()["error"]["reason"] == "too_many_requests"
    assert {client.post("/webhooks/chat", data=b"{}").status_code for _ in range(8)} == {401}
    if not broken:
        other = client.get("/api/v1/messages", headers={"Authorization": "Bearer another-key"})
        assert other.status_code == 200


def test_without_a_database_the_api_says_so(configure: Configure) -> None:
    client = create_app(configure(database_url=SecretStr("sqlite:////dev/null/no.db"))).test_client()
    response = client.get("/api/v1/messages", headers=KEY)
    assert response.status_code == 503
    assert response.get_json()["error"]["reason"] == "database_unavailable"


def test_the_description_is_true(app: flask.Flask) -> None:
    import schemathesis  # here, because every process of a test run collects this file and few come to this test

    a_message()
    description = app.test_client().get("/api/v1/openapi.json").get_json()
    assert set(description["paths"]) == {
        "/api/v1/alerts",
        "/api/v1/alerts/{code}",
        "/api/v1/alerts/{code}/acknowledge",
        "/api/v1/alerts/{code}/resolve",
        "/api/v1/knowledge/documents",
        "/api/v1/knowledge/documents/{document_id}",
        "/api/v1/knowledge/files/{name}",
        "/api/v1/messages",
        "/api/v1/messages/{message_id}",
        "/api/v1/messages/{message_id}/events",
        "/api/v1/messages/{message_id}/files/{file_id}",
        "/api/v1/messages/{message_id}/label",
        "/api/v1/platforms",
        "/api/v1/send",
        "/api/v1/silences",
        "/api/v1/silences/{silence_id}/end",
        "/api/v1/usage",
        "/api/v1/workflows",
        "/api/v1/workflows/recommendations",
    }
    shapes = description["components"]["schemas"]
    assert set(shapes["HTTPError"]["properties"]) == set(shapes["ValidationError"]["properties"]) == {"error"}
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)

    for operation in schema.exclude(path_regex="/events$").get_all_operations():
        _drive(operation.ok())


def _drive(operation: Any) -> None:
    from schemathesis.specs.openapi.checks import ignored_auth

    @hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        response = case.call(headers=KEY)
        assert response.status_code < 500
        case.validate_response(response, excluded_checks=[ignored_auth])  # our key replaces the generated one

    check()


def test_a_message_that_nobody_asked_for_is_recorded_once_and_started(configure: Configure, started: list[int]) -> None:
    robot = {"client_id": "dingapp0001", "client_secret": SecretStr("s")}
    account = {"username": "MindBot", "password": SecretStr("p"), "server": "127.0.0.1"}
    client = create_app(configure(dingtalk={"default": robot}, aim={"default": account})).test_client()
    body = {"platform": "dingtalk", "to": "user01", "text": "**Good morning**", "key": "monday"}
    first, again = (client.post("/api/v1/send", headers=KEY, json=body) for _ in range(2))
    assert (first.status_code, first.get_json()["fresh"]) == (202, True)
    assert again.get_json() == {"id": first.get_json()["id"], "fresh": False}
    assert started == [first.get_json()["id"]]
    shown = client.get(f"/api/v1/messages/{started[0]}", headers=KEY).get_json()
    assert (shown["state"], shown["text"], shown["label"]) == ("answered", "", "unasked")
    assert shown["answer"]["text"] == "**Good morning**"
    assert client.post("/api/v1/send", json=body).status_code == 401
    for wrong, status in (({"to": ""}, 422), ({"text": " "}, 422), ({"platform": "chat", "bot": "playground"}, 409)):
        assert client.post("/api/v1/send", headers=KEY, json={**body, **wrong}).status_code == status
    assert client.post("/api/v1/send", headers=KEY, json={**body, "bot": "other"}).status_code == 404
    refused = client.post("/api/v1/send", headers=KEY, json={**body, "platform": "aim", "group": True, "key": "room"})
    assert (refused.status_code, refused.get_json()["error"]["message"]) == (
        409,
        "on AIM the bot writes to persons only",
    )


def test_a_classification_is_corrected_by_holders_of_a_key(configure: Configure, started: list[int]) -> None:
    workflows = {"hr_leave": WorkflowSettings()}
    client = create_app(configure(workflows=workflows)).test_client()
    message_id = a_message(text="how many days off do I have")
    address = f"/api/v1/messages/{message_id}/label"
    assert client.post(address, json={"label": "hr_leave"}).status_code == 401
    corrected = client.post(address, headers=KEY, json={"label": "hr_leave"})
    assert (corrected.status_code, corrected.get_json()) == (200, {"id": message_id, "label": "hr_leave"})
    with reading() as connection:
        (example,) = learning.examples(connection)
    assert (example.label, example.source) == ("hr_leave", "correction")
    assert client.post(address, headers=KEY, json={"label": "nonsense"}).status_code == 409
    assert client.post("/api/v1/messages/999/label", headers=KEY, json={"label": "research"}).status_code == 404
