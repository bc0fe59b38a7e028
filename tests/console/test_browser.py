"""The console in a real Chromium: what clicks do, what changes by itself, and who can use it."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.console.browsing import HOME, PATIENCE, Sheet, opened
from tests.server import PASSWORD, Server, running

expect.set_options(timeout=PATIENCE)

BELOW = "/_hsmstore/console"


def page_of(key_store_id: str) -> str:
    """Return the path of a store's page."""
    return f"{BELOW}/key-stores/{key_store_id}"


def lit(page: Page) -> str:
    """Return the state that the picture shows lit."""
    return page.locator(".node.lit").get_attribute("data-state") or ""


def state(town: Server, key_store_id: str) -> str:
    """Return a store's ConnectionState, as KMS tells it."""
    (entry,) = town.kms().describe_custom_key_stores(CustomKeyStoreId=key_store_id)["CustomKeyStores"]
    return str(entry["ConnectionState"])


def test_clicks_are_calls(sheet: Sheet, town: Server) -> None:
    """Connect, draw and disconnect by clicks: the registry says so, and the picture shows the way."""
    store = town.new_store("clicked")
    page = sheet.open(page_of(store))
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator(".title .chip")).to_have_text("CONNECTED")
    assert (state(town, store), lit(page)) == ("CONNECTED", "CONNECTED")
    assert page.locator(".edge.last").get_attribute("data-event") == "connect_succeeded"
    expect(page.locator("#notice code").first).to_have_text(f"hsmstore store connect {store}")
    page.get_by_label("Number of bytes").fill("24")
    page.get_by_role("button", name="Draw bytes").click()
    expect(page.locator(".drawn")).to_have_text(digits_of(24))
    page.get_by_role("button", name="Disconnect", exact=True).click()
    expect(page.locator(".title .chip")).to_have_text("DISCONNECTED")
    assert state(town, store) == "DISCONNECTED"


def digits_of(count: int) -> re.Pattern[str]:
    """Return what so many bytes look like."""
    return re.compile(f"^[0-9a-f]{{{2 * count}}}$")


def test_states_change_while_one_looks(sheet: Sheet, town: Server) -> None:
    """What somebody else does shows without a reload; focus, text and what is unfolded stay."""
    store = town.new_store("watched")
    page = sheet.open(page_of(store))
    page.evaluate("window.same = true")
    page.get_by_text("Delete this key store").click()
    name = page.get_by_label("Name", exact=True)
    name.fill("half typed")
    fault = town.manage("POST", "/faults", {"Point": "connect", "Effect": "hang", "CustomKeyStoreId": store})[
        1
    ]
    town.kms().connect_custom_key_store(CustomKeyStoreId=store)
    expect(page.locator(".title .chip")).to_have_text("CONNECTING")
    town.manage("DELETE", f"/faults/{fault['FaultId']}")
    expect(page.locator(".title .chip")).to_have_text("CONNECTED")
    expect(page.locator(".timeline li").first).to_contain_text("Connected")
    assert page.evaluate("window.same")
    expect(name).to_be_focused()
    expect(name).to_have_value("half typed")
    expect(page.get_by_role("button", name="Delete the key store")).to_be_visible()


def test_lists_change_while_one_looks(sheet: Sheet, town: Server) -> None:
    """A state, what is new and a switch show without a reload in the lists of stores and of clusters, too."""
    store = town.new_store("listed live")
    page = sheet.open(f"{HOME}?find=listed+live")
    page.evaluate("window.same = true")
    town.kms().connect_custom_key_store(CustomKeyStoreId=store)
    expect(page.locator(f"#s-{store} .chip")).to_have_text("CONNECTED")
    second = town.new_store("listed live, too")
    expect(page.locator(f"#s-{second} .chip")).to_have_text("DISCONNECTED")
    assert page.evaluate("window.same")
    clusters = town.manage("GET", "/clusters")[1]["Clusters"]
    page = sheet.open(f"{BELOW}/clusters?after={clusters[-1]['CloudHsmClusterId']}")
    page.evaluate("window.same = true")
    expect(page.get_by_text("There are no more.")).to_be_visible()
    cluster = town.new_cluster()["CloudHsmClusterId"]
    network = page.locator(f"#{cluster}").get_by_role("switch", name="Network of")
    expect(network).to_have_text("reachable")
    town.manage("PUT", f"/clusters/{cluster}/network", {"Reachable": False})
    expect(network).to_have_text("cut")
    assert page.evaluate("window.same")


def test_a_failure_and_the_way_out(sheet: Sheet, town: Server) -> None:
    """A cut network, by a switch; FAILED, with its reason; and every step of the way out, by its button."""
    store = town.new_store("mended")
    page = sheet.open(page_of(store))
    network = page.get_by_role("switch", name="Network of")
    network.click()
    expect(network).to_have_attribute("aria-checked", "false")
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator(".title .chip")).to_have_text("FAILED")
    expect(page.locator("#h-why + .code")).to_have_text("NETWORK_ERRORS")
    expect(page.locator(".commands")).to_contain_text("hsmstore cluster network restore")
    page.goto(page.url.partition("/console")[0] + "/")
    page.get_by_role("button", name="Mend it: disconnect the key store").click()
    for step in ("Restore", "Connect"):
        page.locator(".steps .now").get_by_role("button", name=step).click()
    expect(page.locator(".title .chip")).to_have_text("CONNECTED")
    expect(page.locator(".steps")).to_have_count(0)
    assert state(town, store) == "CONNECTED"


def test_a_lost_password_is_mended(sheet: Sheet, town: Server) -> None:
    """The documented steps with a password: set it in the cluster, tell KMS, connect."""
    cluster = town.new_cluster()
    store = town.new_store("forgotten", cluster)
    path = f"/clusters/{cluster['CloudHsmClusterId']}/kmsuser"
    assert town.manage("PUT", path, {"Password": "another-password"})[0] == 200
    page = sheet.open(page_of(store))
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator("#h-why + .code")).to_have_text("INVALID_CREDENTIALS")
    page.locator(".steps .now").get_by_role("button").click()
    steps = page.locator(".steps li")
    steps.nth(1).get_by_label("New password").fill(PASSWORD)
    steps.nth(1).get_by_role("button").click()
    steps.nth(2).get_by_label("New password").fill(PASSWORD)
    steps.nth(2).get_by_role("button").click()
    expect(steps.nth(2)).to_have_class("done")
    steps.nth(3).get_by_role("button").click()
    expect(page.locator(".title .chip")).to_have_text("CONNECTED")


def test_a_refusal_is_told_in_place(sheet: Sheet, town: Server) -> None:
    """What is refused says why beside its button, has the focus, and stays while the page goes on."""
    page = sheet.open(page_of(town.new_store("told")))
    page.get_by_label("Number of bytes").fill("8")
    page.get_by_role("button", name="Draw bytes").click()
    refusal = page.locator("#f-draw .refusal")
    expect(refusal).to_contain_text("CustomKeyStoreInvalidStateException")
    expect(refusal).to_be_focused()
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.locator(".title .chip")).to_have_text("CONNECTED")
    expect(page.locator(".refusal")).to_have_count(0)


def test_faults_and_clock(sheet: Sheet, town: Server) -> None:
    """A fault is planned, met and removed; the clock is set forward, and every page says so."""
    page = sheet.open(f"{BELOW}/faults")
    form = page.locator("#f-fail-connect")
    form.get_by_label("With").select_option("INTERNAL_ERROR")
    form.get_by_role("button", name="Add").click()
    expect(page.locator(".row .tag")).to_have_text("struck 0 of 0")
    store = town.new_store("unlucky")
    town.kms().connect_custom_key_store(CustomKeyStoreId=store)
    expect(page.locator(".row .tag")).to_have_text("over, struck 1 of 1")
    page.get_by_role("button", name="Clear the plan").click()
    expect(page.locator(".row")).to_have_count(0)
    assert town.manage("GET", "/faults")[1]["Faults"] == []
    before = town.manage("GET", "/clock")[1]["Now"]
    page.get_by_role("button", name="Set forward by 20 min").click()
    expect(page.locator(".clock .simulated")).to_be_visible()
    assert town.manage("GET", "/clock")[1]["Now"] >= before + 1200


def test_the_trail_is_live(sheet: Sheet, town: Server) -> None:
    """A call that ends now appears by itself, can be unfolded, and stays so while others come."""
    store = town.new_store("traced")
    page = sheet.open(f"{BELOW}/trail?store={store}&errors=on")
    with pytest.raises(town.kms().exceptions.CustomKeyStoreInvalidStateException):
        town.kms().generate_random(NumberOfBytes=8, CustomKeyStoreId=store)
    row = page.locator("tr.bad").first
    expect(row).to_contain_text("CustomKeyStoreInvalidStateException")
    row.locator("summary").click()
    expect(row.locator("pre")).to_contain_text('"eventName": "GenerateRandom"')
    identity = row.get_attribute("id")
    with pytest.raises(town.kms().exceptions.CustomKeyStoreInvalidStateException):
        town.kms().disconnect_custom_key_store(CustomKeyStoreId=store)
    expect(page.locator("tr.bad")).to_have_count(2)
    expect(page.locator(f"#{identity} pre")).to_be_visible()


def tab_to(page: Page, what: Locator) -> None:
    """Press Tab until something has the focus, which is to be seen."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if what.evaluate("each => each === document.activeElement"):
            break
    expect(what).to_be_focused()
    assert what.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"


def test_by_keyboard_alone(sheet: Sheet, town: Server) -> None:
    """From the address bar to a connected store without a mouse; what has the focus is to be seen."""
    store = town.new_store("0 keyboard")
    page = sheet.open(page_of(store))
    page.keyboard.press("Tab")
    expect(page.get_by_text("To the content")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Connect", exact=True))
    page.keyboard.press("Enter")
    expect(page.locator(".title .chip")).to_have_text("CONNECTED")


def test_out_of_failed_by_keyboard_alone(sheet: Sheet, town: Server) -> None:
    """A fault is planned, met, and its way out gone, without a mouse."""
    name = "~ keyboard"  # the only one that begins so: one key chooses it
    store = town.new_store(name)
    page = sheet.open(f"{BELOW}/faults")
    form = page.locator("#f-fail-connect")
    for field, letter in (("With", "N"), ("Of", "~")):
        tab_to(page, form.get_by_label(field))
        page.keyboard.press(letter)
    tab_to(page, form.get_by_role("button"))
    page.keyboard.press("Enter")
    expect(page.locator(".row")).to_contain_text(store)
    page = sheet.open(f"{HOME}?find={store}")
    tab_to(page, page.get_by_role("button", name=f"Connect {name}"))
    page.keyboard.press("Enter")
    expect(page.locator(f"#s-{store} .chip")).to_have_text("FAILED")
    tab_to(page, page.get_by_role("button", name="Mend it: disconnect the key store"))
    page.keyboard.press("Enter")
    expect(page.locator(".title .chip")).to_have_text("DISCONNECTED")
    tab_to(page, page.locator(".steps .now").get_by_role("button", name="Connect"))
    page.keyboard.press("Enter")
    expect(page.locator(".title .chip")).to_have_text("CONNECTED")
    assert state(town, store) == "CONNECTED"
    town.manage("DELETE", "/faults")


def test_without_scripts(browser: Browser, town: Server) -> None:
    """With scripts off the same forms do the same."""
    store = town.new_store("plain")
    with opened(browser, town.endpoint, scripts=False) as sheet:
        page = sheet.open(page_of(store))
        page.get_by_role("button", name="Connect", exact=True).click()
        expect(page.locator(".title .chip")).to_have_text("CONNECTED")
        expect(page.locator("#notice")).to_contain_text("Connecting.")
    assert state(town, store) == "CONNECTED"


def test_hostile_names_in_a_browser(sheet: Sheet, town: Server) -> None:
    """A name that is a script runs nowhere, a long one is no wider than the page."""
    names = ["<script>throw 1</script>", "w" * 256, "\u05d0\u05d1\u05d2"]
    stores = [town.new_store(name) for name in names]
    page = sheet.open()
    for name in names:
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
    sheet.page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for store in stores:
        town.kms().delete_custom_key_store(CustomKeyStoreId=store)


def test_from_another_machine(browser: Browser, tmp_path: Path) -> None:
    """Whoever needs the token is asked for it; with it the console opens, and stays open."""
    with (
        running(tmp_path / "data", "--profile", "instant", "--no-trust-local") as server,
        opened(browser, server.endpoint) as sheet,
    ):
        page = sheet.open()
        expect(page).to_have_url(re.compile("/console/login$"))
        page.get_by_label("Token").fill("not the token")
        page.get_by_role("button", name="Open the console").click()
        expect(page.get_by_role("alert")).to_have_text("This is not the token.")
        page.get_by_label("Token").fill((server.data_dir / "management.token").read_text())
        page.get_by_role("button", name="Open the console").click()
        expect(page.get_by_role("heading", name="Key stores")).to_be_visible()
        page.get_by_label("Password for kmsuser").fill(PASSWORD)
        page.get_by_role("button", name="Create a cluster").click()
        expect(page.get_by_role("heading", name="cluster-", level=1)).to_be_visible()
        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/_hsmstore")


def test_the_first_steps(browser: Browser, tmp_path: Path) -> None:
    """An empty console tells what to do first, and doing it there leads to a connected store."""
    with (
        running(tmp_path / "data", "--profile", "instant") as server,
        opened(browser, server.endpoint) as sheet,
    ):
        page = sheet.open()
        expect(page.get_by_text("There is no key store yet.")).to_be_visible()
        expect(page.locator(".empty code").first).to_contain_text("hsmstore cluster create")
        assert sheet.barriers() == []
        page.get_by_label("Password for kmsuser").fill(PASSWORD)
        page.get_by_role("button", name="Create a cluster").click()
        expect(page.get_by_role("heading", name="cluster-", level=1)).to_be_visible()
        page.get_by_role("link", name="Key stores", exact=True).click()
        page.locator("#f-new-store").get_by_label("Name").fill("first")
        page.get_by_label("kmsuser's password").fill(PASSWORD)
        page.locator("#f-new-store").get_by_role("button", name="Create").click()
        expect(page.get_by_role("heading", name="first", level=1)).to_be_visible()
        page.get_by_role("button", name="Connect", exact=True).click()
        expect(page.locator(".title .chip")).to_have_text("CONNECTED")
