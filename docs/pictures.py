"""Take the pictures of the console that the documentation shows: `make pictures`.

They are taken of a real server in a real Chromium, with what tests/console/scene.py brings about. With the
fonts Inter and JetBrains Mono (Debian's fonts-inter, fonts-jetbrains-mono) they look as most screens do.
"""

import os
import tempfile
from pathlib import Path
from typing import Final, Literal, NamedTuple

from playwright.sync_api import Browser, sync_playwright

from tests.console.browsing import HOME, launched, opened
from tests.console.scene import make_scene
from tests.server import Server, running

IMAGES: Final = Path(__file__).resolve().parent / "images"
BELOW: Final = "/_hsmstore/console"

FONTS: Final = """<?xml version="1.0"?>
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <alias binding="same"><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
  <alias binding="same"><family>DejaVu Sans</family><prefer><family>Inter</family></prefer></alias>
  <alias binding="same"><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
  <alias binding="same"><family>ui-monospace</family><prefer><family>JetBrains Mono</family></prefer></alias>
</fontconfig>
"""


class Picture(NamedTuple):
    """What is pictured: a page, how wide and high in pixels, light or dark."""

    name: str
    path: str
    width: int
    height: int
    scheme: Literal["light", "dark"]


def main() -> None:
    """Take them."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        fonts = Path(directory, "fonts.conf")
        fonts.write_text(FONTS, encoding="utf-8")
        os.environ["FONTCONFIG_FILE"] = str(fonts)  # noqa: TID251  # the browser's, which has no other way
        with (
            running(Path(directory, "data"), "--profile", "instant") as server,
            sync_playwright() as playwright,
        ):
            browser = launched(playwright)
            for picture in _pictures(server):
                _take(browser, server, picture)
            browser.close()


def _pictures(server: Server) -> list[Picture]:
    scene = make_scene(server)
    return [
        Picture("console", HOME, 1200, 860, "light"),
        Picture("console-failed", f"{BELOW}/key-stores/{scene.failed}", 1200, 760, "dark"),
        Picture("console-cluster", f"{BELOW}/clusters/{scene.cluster}", 1200, 640, "light"),
        Picture("console-faults", f"{BELOW}/faults", 1200, 760, "light"),
        Picture("console-phone", f"{BELOW}/key-stores/{scene.failed}", 360, 780, "light"),
    ]


def _take(browser: Browser, server: Server, picture: Picture) -> None:
    name, path, width, height, scheme = picture
    with opened(browser, server.endpoint, width=width, scheme=scheme) as sheet:
        page = sheet.open(path)
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
