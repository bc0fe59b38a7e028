"""How the console looks: to axe-core, in every state, light and dark, large and small; and in pictures."""

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from docs.pictures import IMAGES, pictures, take
from tests.console.browsing import PATIENCE, Sheet, opened
from tests.console.forms import BELOW
from tests.console.scene import Scene, make_scene
from tests.server import Server, running

expect.set_options(timeout=PATIENCE)

UNFOLD = "for (const fold of document.querySelectorAll('details')) fold.open = true"

BARRIERS = """
document.querySelector(".mark").removeAttribute("aria-label");
document.querySelector(".mark b").remove();
document.querySelector("h1").style.color = "#444";
document.querySelector("footer").style.minWidth = "400px";
document.querySelector(".top nav").style.justifyContent = "start";
for (const link of document.querySelectorAll(".top nav a")) {
  link.style.cssText = "padding: 0; height: 2vw; width: 2vw; overflow: hidden";
}
"""

MISPRINTS = """
for (const text of document.querySelectorAll(".edge text")) text.style.fontSize = "30px";
document.querySelector(".machine").style.width = "160px";
"""


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a small place: what there is fits on a page."""
    with running(tmp_path_factory.mktemp("village") / "data", "--profile", "instant") as server:
        yield server


@pytest.fixture(scope="module")
def scene(village: Server) -> Scene:
    """Put something on every page: a failed store, faults, a call that was refused."""
    return make_scene(village)


@pytest.fixture
def sheet(browser: Browser, village: Server) -> Iterator[Sheet]:
    """Open a page there."""
    with opened(browser, village.endpoint) as sheet:
        yield sheet


@contextmanager
def held(village: Server, store: str, point: str) -> Iterator[None]:
    """Let a store's connects or disconnects take until the end of the context."""
    fault = {"Point": point, "Effect": "hang", "CustomKeyStoreId": store}
    status, planned = village.manage("POST", "/faults", fault)
    assert status == 200
    yield
    assert village.manage("DELETE", f"/faults/{planned['FaultId']}")[0] == 200


def press(page: Page, name: str, state: str) -> None:
    """Press a button, and wait for the state that it leads to."""
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.locator(".title .chip")).to_have_text(state)


def size(picture: Path) -> tuple[int, ...]:
    """Return the width and the height of a PNG."""
    return struct.unpack(">8x4x4sII", picture.read_bytes()[:24])[1:]


def test_pictures(sheet: Sheet, scene: Scene, tmp_path: Path) -> None:
    """Each picture that the documentation shows is taken by its script, of a page that is there."""
    take(sheet, scene, tmp_path)
    sizes = {f"{picture.name}.png": (picture.width, picture.height) for picture in pictures(scene)}
    for folder in (tmp_path, IMAGES):
        assert {path.name: size(path) for path in folder.iterdir()} == sizes
    pages = [IMAGES.parents[1] / "README.md", *IMAGES.parent.glob("*.md")]
    shown = [name for page in pages for name in re.findall(r"\(.*images/(.+)\)", page.read_text())]
    assert set(shown) == set(sizes)


def test_every_state_of_a_store(sheet: Sheet, village: Server, scene: Scene) -> None:
    """A store goes through all its states on one page, which tells of a refusal, of acts, and of bytes."""
    page = sheet.open(f"{BELOW}/key-stores/{scene.spare}")
    page.evaluate(UNFOLD)
    refusal = {"Point": "ConnectCustomKeyStore", "Effect": "exception", "Error": "ThrottlingException"}
    once = {**refusal, "Times": 1, "CustomKeyStoreId": scene.spare}
    assert village.manage("POST", "/faults", once)[0] == 200
    press(page, "Connect", "DISCONNECTED")
    expect(page.locator("#f-connect .refusal")).to_be_focused()
    assert sheet.barriers() == []
    with held(village, scene.spare, "connect"):
        press(page, "Connect", "CONNECTING")
        expect(page.locator("#notice")).to_contain_text("Connecting.")
        assert sheet.barriers() == []
    expect(page.locator(".title .chip")).to_have_text("CONNECTED")
    press(page, "Draw bytes", "CONNECTED")
    expect(page.locator(".drawn")).to_be_visible()
    assert sheet.barriers() == []
    with held(village, scene.spare, "disconnect"):
        press(page, "Disconnect", "DISCONNECTING")
        assert sheet.barriers() == []
    page.evaluate(MISPRINTS)
    assert {fault for fault, *_ in sheet.misprints()} == {"overlap", "small print"}


def test_the_way_out(sheet: Sheet, scene: Scene) -> None:
    """A failed store among others and by itself; its way out when a step is done and others are to come."""
    page = sheet.open()
    page.evaluate(UNFOLD)
    expect(page.locator(".store .why")).to_be_visible()
    assert sheet.barriers() == []
    page = sheet.open(f"{BELOW}/key-stores/{scene.failed}")
    page.evaluate(UNFOLD)
    expect(page.locator(".title .chip")).to_have_text("FAILED")
    assert sheet.barriers() == []
    page.locator(".steps .now").get_by_role("button").click()
    expect(page.locator(".steps .done")).to_have_count(1)
    expect(page.locator(".steps .later")).to_have_count(1)
    assert sheet.barriers() == []


def test_the_other_pages(sheet: Sheet, village: Server, scene: Scene) -> None:
    """Clusters; faults, one of them over, by a clock that was set; calls; what is not there."""
    once = {"Point": "CreateKey", "Effect": "exception", "Error": "ThrottlingException", "Times": 1}
    assert village.manage("POST", "/faults", once)[0] == 200
    assert village.call("CreateKey", {}).status == 400
    assert village.manage("POST", "/clock/advance", {"Seconds": 60})[0] == 200
    for path in ("/clusters", f"/clusters/{scene.cluster}", "/faults", "/trail", "/nothing"):
        page = sheet.open(BELOW + path, status=404 if path == "/nothing" else 200)
        page.evaluate(UNFOLD)
        expect(page.locator(".clock .simulated")).to_be_visible()
        expect(page.locator(".row.over").first).to_be_visible(visible=path == "/faults")
        assert sheet.barriers() == [], path


def test_the_door(sheet: Sheet) -> None:
    """Where the token is asked for, and where what was given is not it."""
    page = sheet.open(f"{BELOW}/login")
    assert sheet.barriers() == []
    page.get_by_label("Token").fill("not the token")
    page.get_by_role("button", name="Open the console").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert sheet.barriers() == []


def test_a_barrier_is_found(sheet: Sheet) -> None:
    """What is too faint in the dark alone, too small on a phone alone, too wide there, or without a label."""
    page = sheet.open(f"{BELOW}/nothing", status=404)
    assert sheet.barriers() == []
    page.evaluate(BARRIERS)
    assert {tuple(barrier[:3]) for barrier in sheet.barriers()} == {
        ("light", 1280, "link-name"),
        ("dark", 1280, "color-contrast"),
        ("dark", 360, "color-contrast"),
        ("light", 360, "target-size"),
        ("light", 360, "wider than its window"),
        ("dark", 360, "wider than its window"),
    }
