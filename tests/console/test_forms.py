"""The console without a browser: pages, forms and refusals as any client sees them."""

import html
import re
import time  # noqa: TID251  # a limit for what is polled
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.server import PASSWORD, Answer, Server

HOME = "/_hsmstore/"
BELOW = "/_hsmstore/console"

HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""What every page is served with."""


def fetch(town: Server, path: str, **headers: str) -> Answer:
    """GET a page."""
    return town.request("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})


def send(town: Server, way: str, **fields: str) -> Answer:
    """POST a form, as a browser without scripts does."""
    body = urlencode({name.replace("__", "."): text for name, text in fields.items()}).encode()
    return town.request("POST", f"{BELOW}/{way}", body, {"Content-Type": "application/x-www-form-urlencoded"})


def state(town: Server, key_store_id: str) -> str:
    """Return a store's ConnectionState."""
    (entry,) = town.kms().describe_custom_key_stores(CustomKeyStoreId=key_store_id)["CustomKeyStores"]
    return str(entry["ConnectionState"])


def recorded(town: Server, query: str, count: int) -> list[dict[str, Any]]:
    """Return the records that fit, as soon as there are so many: the trail is written a moment later."""
    records: list[dict[str, Any]] = []
    deadline = time.monotonic() + 60
    while len(records) < count and time.monotonic() < deadline:
        records = town.manage("GET", f"/trail?{query}")[1]["Records"]
    return records


def test_pages(town: Server) -> None:
    """Every page is HTML under a policy that lets nothing in from elsewhere, and is kept by nobody."""
    store = town.new_store("page")
    cluster = town.new_cluster()["CloudHsmClusterId"]
    pages = ["", "/key-stores/" + store, "/clusters", "/clusters/" + cluster, "/faults", "/trail", "/login"]
    answers = [fetch(town, BELOW + page if page else HOME) for page in pages]
    assert [answer.status for answer in answers] == [HTTPStatus.OK] * len(pages)
    missing = fetch(town, f"{BELOW}/nothing")
    refused = send(town, "kms/ConnectCustomKeyStore", CustomKeyStoreId="cks-0")
    outside = send(town, "login", Token="not the token")
    assert (missing.status, refused.status, outside.status) == (404, 400, 403)
    for answer in (*answers, missing, refused, outside):
        assert HEADERS.items() <= answer.headers.items()
        assert not re.search(
            r"<style|style=|<script>|\son\w+=|(?:src|href)=.https?://(?!www\.w3\.org)",
            answer.body.decode().lower(),
        )


def test_home_has_a_shorter_name(town: Server) -> None:
    """Who leaves the slash out finds the console all the same."""
    answer = fetch(town, "/_hsmstore")
    assert (answer.status, answer.headers["location"]) == (HTTPStatus.PERMANENT_REDIRECT, HOME)


def test_nothing_there(town: Server) -> None:
    """What there is not is said in a page, in AWS's words where they are AWS's."""
    for path in (f"{BELOW}/key-stores/cks-0", f"{BELOW}/clusters/cluster-22222222222", f"{BELOW}/nothing"):
        answer = fetch(town, path)
        assert answer.status == HTTPStatus.NOT_FOUND
        assert b"CloudHsmResourceNotFoundException" in answer.body


@pytest.mark.parametrize("name", ["console.css", "console.js", "favicon.svg"])
def test_what_pages_load(town: Server, name: str) -> None:
    """Style, script and icon are files with an ETag."""
    answer = fetch(town, f"{BELOW}/static/{name}")
    assert answer.status == HTTPStatus.OK
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = fetch(town, f"{BELOW}/static/{name}", If_None_Match=answer.headers["etag"])
    assert (again.status, again.body) == (HTTPStatus.NOT_MODIFIED, b"")


def test_a_page_changes_when_what_it_shows_does(town: Server) -> None:
    """The ETag is what the page shows: the time of day is not in it, a state is."""
    store = town.new_store("etag")
    path = f"{BELOW}/key-stores/{store}"
    recorded(town, f"Event=CreateCustomKeyStore&CustomKeyStoreId={store}", 1)  # which the page shows, too
    etag = fetch(town, path).headers["etag"]
    assert fetch(town, path, If_None_Match=etag).status == HTTPStatus.NOT_MODIFIED
    town.kms().connect_custom_key_store(CustomKeyStoreId=store)
    assert fetch(town, path, If_None_Match=etag).status == HTTPStatus.OK


def test_a_form_does_and_sends_on(town: Server) -> None:
    """A form is a real call: the store connects, the page says so with the command, the trail records it."""
    store = town.new_store("form")
    page = f"{BELOW}/key-stores/{store}"
    answer = send(town, "kms/ConnectCustomKeyStore", CustomKeyStoreId=store, page=page)
    assert answer.status == HTTPStatus.SEE_OTHER
    assert state(town, store) == "CONNECTED"
    text = fetch(town, answer.headers["location"]).body.decode()
    assert f"hsmstore store connect {store}" in text
    (record,) = recorded(town, f"Event=ConnectCustomKeyStore&CustomKeyStoreId={store}", 1)
    assert record["userIdentity"]["type"] == "Root"


def test_a_refusal_stands_in_its_place(town: Server) -> None:
    """What AWS refuses is told in AWS's words, in the form that asked; what was typed is still there."""
    store = town.new_store("refused")
    page = f"{BELOW}/key-stores/{store}"
    name = "x" * 257
    fields = {"CustomKeyStoreId": store, "page": page, "form": "rename", "NewCustomKeyStoreName": name}
    answer = send(town, "kms/UpdateCustomKeyStore", **fields)
    assert answer.status == HTTPStatus.BAD_REQUEST
    text = html.unescape(answer.body.decode())
    form = text[text.index('id="f-rename"') : text.index("</form>", text.index('id="f-rename"'))]
    assert "ValidationException" in form
    assert "Member must have length less than or equal to 256" in form
    assert f'value="{name}"' in form


def test_no_password_comes_back(town: Server) -> None:
    """What is secret stands neither in a refusal nor in what is said of an act that was done."""
    secret = "s3cret-s3cret"
    cluster = town.new_cluster()["CloudHsmClusterId"]
    done = send(town, "manage/set_kmsuser_password", ClusterId=cluster, Password=secret, page=HOME)
    assert done.status == HTTPStatus.SEE_OTHER
    assert secret not in fetch(town, done.headers["location"]).body.decode()
    refused = send(
        town,
        "kms/CreateCustomKeyStore",
        CustomKeyStoreName="y" * 300,
        KeyStorePassword=secret,
        form="new-store",
    )
    assert refused.status == HTTPStatus.BAD_REQUEST
    assert secret not in refused.body.decode()


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "\"'><img src=x onerror=alert(1)>",
        "é" * 256,
        "\u202egnitar\u2069",
        "{{ 7*7 }}",
    ],
)
def test_hostile_names_are_only_names(town: Server, name: str) -> None:
    """Whatever a store is called, it is text: in pages, titles, forms and commands."""
    store = town.new_store(name)
    for path in (HOME, f"{BELOW}/key-stores/{store}", f"{BELOW}/faults", f"{BELOW}/clusters"):
        text = fetch(town, path).body.decode()
        assert "<script>alert" not in text
        assert "<img" not in text
        assert name in html.unescape(text)
    town.kms().delete_custom_key_store(CustomKeyStoreId=store)


def test_a_store_from_form_to_bytes(town: Server) -> None:
    """Cluster, store, connection and bytes, by forms alone; the certificate is put in by the console."""
    made = send(town, "manage/create_cluster", HsmCount="2", KmsuserPassword=PASSWORD, page=HOME)
    cluster = made.headers["location"].split("/")[-1].split("?")[0]
    fields = {"CustomKeyStoreName": "by form", "CloudHsmClusterId": cluster, "KeyStorePassword": PASSWORD}
    created = send(town, "kms/CreateCustomKeyStore", **fields, page=HOME)
    store = created.headers["location"].split("/")[-1].split("?")[0]
    send(town, "kms/ConnectCustomKeyStore", CustomKeyStoreId=store)
    drawn = send(
        town,
        "kms/GenerateRandom",
        CustomKeyStoreId=store,
        NumberOfBytes="16",
        page=f"{BELOW}/key-stores/{store}",
    )
    assert drawn.status == HTTPStatus.OK
    assert re.search(r'<code class="drawn">[0-9a-f]{32}</code>', drawn.body.decode())


def test_an_external_store(town: Server) -> None:
    """An external key store is made by a form, too; its credential is one member."""
    created = send(
        town,
        "kms/CreateCustomKeyStore",
        CustomKeyStoreName="external",
        CustomKeyStoreType="EXTERNAL_KEY_STORE",
        XksProxyConnectivity="PUBLIC_ENDPOINT",
        XksProxyUriEndpoint="https://xks.example.com",
        XksProxyUriPath="/by-form/kms/xks/v1",
        XksProxyAuthenticationCredential__AccessKeyId="ABCDEFGHIJKLMNOPQRST",
        XksProxyAuthenticationCredential__RawSecretAccessKey="A" * 43,
    )
    assert created.status == HTTPStatus.SEE_OTHER
    page = fetch(town, created.headers["location"].partition("?")[0]).body.decode()
    assert "https://xks.example.com" in page
    assert "A" * 43 not in page


def test_faults_strike_what_the_console_asks(town: Server) -> None:
    """A fault of an operation strikes the console's call as anybody's."""
    store = town.new_store("struck")
    send(
        town,
        "manage/add_fault",
        Point="ConnectCustomKeyStore",
        Effect="exception",
        Error="ThrottlingException",
        Times="1",
        CustomKeyStoreId=store,
    )
    refused = send(town, "kms/ConnectCustomKeyStore", CustomKeyStoreId=store, form="connect")
    assert refused.status == HTTPStatus.BAD_REQUEST
    assert "ThrottlingException" in refused.body.decode()
    send(town, "manage/clear_faults")
    assert state(town, store) == "DISCONNECTED"


def test_a_fault_until_a_date(town: Server) -> None:
    """A fault's end is typed as a date, in UTC."""
    fields = {"Point": "draw", "Effect": "hang", "form": "any-fault", "page": f"{BELOW}/faults"}
    assert send(town, "manage/add_fault", **fields, Until="2100-01-01T00:00").status == HTTPStatus.SEE_OTHER
    (fault,) = town.manage("GET", "/faults")[1]["Faults"]
    assert fault["Until"] == datetime(2100, 1, 1, tzinfo=UTC).timestamp()
    refused = send(town, "manage/add_fault", **fields, Until="tomorrow")
    assert refused.status == HTTPStatus.BAD_REQUEST
    assert b"Until is a date" in refused.body
    send(town, "manage/clear_faults")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"\xff\xfe=1", "not a form"),
        (b"&".join([b"a=b"] * 60), "not a form"),
        (b"page=//evil.example/x", ""),
        (b"page=/_hsmstore/console/%0d%0aX-Evil:%201", ""),
    ],
)
def test_what_is_no_form(town: Server, body: bytes, told: str) -> None:
    """A body that is no form is refused, and nobody is sent elsewhere than to the console."""
    answer = town.request("POST", f"{BELOW}/manage/clear_faults", body)
    if told:
        assert answer.status == HTTPStatus.BAD_REQUEST
        assert told in answer.body.decode()
    else:
        assert answer.headers["location"].startswith(f"{HOME}?did=")
        assert "x-evil" not in {name.lower() for name in answer.headers}


def test_the_management_api_tells_the_same(town: Server) -> None:
    """The states and the trail that pages show are the management API's, by documented routes."""
    store = town.new_store("listed")
    states = town.manage("GET", "/key-stores")[1]["KeyStores"]
    (found,) = [state for state in states if state["CustomKeyStoreId"] == store]
    assert (found["ConnectionState"], found["Since"]) == ("DISCONNECTED", found["CreationDate"])
    records = recorded(town, "Limit=3", 3)
    assert len(records) == 3
    assert records == sorted(records, key=lambda record: record["eventTime"], reverse=True)
    with pytest.raises(town.kms().exceptions.CustomKeyStoreInvalidStateException):
        town.kms().disconnect_custom_key_store(CustomKeyStoreId=store)
    (refused,) = recorded(town, f"OnlyErrors=true&CustomKeyStoreId={store}", 1)
    assert refused["errorCode"] == "CustomKeyStoreInvalidStateException"


def test_the_trail_goes_on_in_older_files(town: Server) -> None:
    """The records of an earlier day are the last ones, where there are no later ones."""
    town.kms().describe_custom_key_stores()
    town.manage("POST", "/clock/advance", {"Seconds": 86_400})
    town.kms().describe_custom_key_stores()
    later = datetime.fromtimestamp(town.manage("GET", "/clock")[1]["Now"], UTC)
    deadline = time.monotonic() + 60
    days = set[str]()
    while not {f"{later:%Y-%m-%d}", f"{later - timedelta(days=1):%Y-%m-%d}"} <= days:
        assert time.monotonic() < deadline
        days = {record["eventTime"][:10] for record in recorded(town, "Limit=500", 2)}


def test_a_long_history(town: Server) -> None:
    """Of a long history a page reads the last events, tells how many there are, and knows the first ones."""
    store = town.new_store("long history")
    kms = town.kms()
    for number in range(60):
        kms.update_custom_key_store(CustomKeyStoreId=store, NewCustomKeyStoreName=f"long history {number}")
    text = fetch(town, f"{BELOW}/key-stores/{store}").body.decode()
    assert text.count("<b>Updated</b>") == 20
    assert "The last 20 of 61 events" in text
    path = f"/key-stores/{store}/explanation?Limit=3"
    told = town.manage("GET", path)[1]
    assert ([event["Event"] for event in told["History"]], told["HistoryCount"]) == (["updated"] * 3, 61)
    assert told["Why"] == "It has never been connected."
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    kms.update_custom_key_store(CustomKeyStoreId=store, NewCustomKeyStoreName="long history")
    assert town.manage("GET", f"{path[:-1]}1")[1]["Why"] == "It was disconnected."
