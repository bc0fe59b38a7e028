"""A real Chromium: how it is started, and a page that keeps what it complains of."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]  # publishes no types
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Response

Scheme = Literal["light", "dark"]

HOME = "/_hsmstore/"
WIDTH, HEIGHT = 1280, 860
PATIENCE = 60_000  # milliseconds; on a busy machine everything takes longer

_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
"""

_AXE = """
async (rules) => {
  const { violations } = await axe.run({ runOnly: rules, resultTypes: ["violations"] });
  const beyond = document.documentElement.scrollWidth - innerWidth;
  return [
    ...violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]),
    ...(beyond > 0 ? [["wider than its window", [beyond]]] : []),
  ];
}
"""

_MISPRINTS = """
() => {
  const print = [...document.querySelectorAll(".machine text")].map((text) => {
    const { a: scale } = text.getCTM();
    return ["small print", text.textContent, scale * parseFloat(getComputedStyle(text).fontSize)];
  });
  const drawn = [...document.querySelectorAll(".edge text, .node rect, .node circle")];
  const places = new Map(drawn.map((each) => [each, each.getBoundingClientRect()]));
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const name = (each) => each.textContent || each.parentNode.dataset.state;
  const overlaps = drawn.filter((each) => each.matches(".edge text")).flatMap((label) => drawn
    .filter((each) => each !== label && meet(places.get(label), places.get(each)))
    .map((each) => ["overlap", name(label), name(each)]));
  return [...print.filter(([, , size]) => size < 9), ...overlaps];
}
"""

_LOOKS: tuple[tuple[Scheme, int, list[str]], ...] = (
    ("light", WIDTH, ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]),
    ("light", 360, ["target-size", "scrollable-region-focusable"]),
    ("dark", 360, ["color-contrast"]),
    ("dark", WIDTH, ["color-contrast"]),
)
"""Schemes and widths, and what each is held to: all the rules once, then those that the change can break."""


def launched(playwright: Playwright) -> Browser:
    """Start Debian's Chromium, with a new profile, and asking nobody anything."""
    return playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_FLAGS, timeout=PATIENCE)


class Sheet:
    """A page in a browser, and what it has complained of."""

    def __init__(self, page: Page, endpoint: str) -> None:
        self.page = page
        self._endpoint = endpoint
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._see(request.url))

    def open(self, path: str = HOME, status: int = 200) -> Page:
        """Load a page of the console."""
        answer = self.page.goto(self._endpoint + path)
        assert isinstance(answer, Response)
        assert answer.status == status
        return self.page

    def look(self, scheme: Scheme = "light", width: int = WIDTH, height: int = HEIGHT) -> None:
        """See the page in another scheme and size."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_viewport_size({"width": width, "height": height})

    def is_clean(self) -> bool:
        """Tell whether nothing has been complained of, by scripts or by the Content-Security-Policy."""
        assert self.complaints == []
        assert self.page.evaluate("violations") == []
        return True

    def barriers(self) -> list[Any]:
        """Return what is wrong with the page as it stands: light and dark, large and small."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE_SCRIPT)
        found: list[Any] = []
        for scheme, width, rules in _LOOKS:
            self.look(scheme, width)
            found += [[scheme, width, *violation] for violation in self.page.evaluate(_AXE, rules)]
            found += [[scheme, width, *fault] for fault in self.misprints()]
        self.look()
        return found

    def misprints(self) -> list[Any]:
        """Return which words of the machine are too small to read, or lie over its boxes or each other."""
        found: list[Any] = self.page.evaluate(_MISPRINTS)
        return found

    def _hear(self, message: ConsoleMessage) -> None:
        refused = "Failed to load resource" in message.text  # of a status from 400 on, which tests provoke
        if message.type in {"error", "warning"} and not refused:
            self.complaints.append(message.text)

    def _see(self, url: str) -> None:
        if not url.startswith(self._endpoint):
            self.complaints.append(f"asked for {url}")


@contextmanager
def opened(browser: Browser, endpoint: str, *, scripts: bool = True) -> Iterator[Sheet]:
    """Open an empty page in a profile of its own; at the end it must have complained of nothing."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, java_script_enabled=scripts, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE)
    if scripts:
        context.add_init_script(_WATCH)
    sheet = Sheet(context.new_page(), endpoint)
    try:
        yield sheet
        if scripts:
            assert sheet.is_clean()
    finally:
        context.close()
