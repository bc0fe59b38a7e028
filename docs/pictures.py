"""Take the pictures of the console that the documentation shows: `make pictures`.

They are taken of a real server in a real Chromium, with what tests/console/scene.py brings about. With the
fonts Inter and JetBrains Mono (Debian's fonts-inter, fonts-jetbrains-mono) they look as most screens do.
"""

import os
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from playwright.sync_api import sync_playwright

from tests.console.browsing import HOME, Scheme, Sheet, launched, opened
from tests.console.scene import Scene, make_scene
from tests.server import running

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
    scheme: Scheme


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
            with opened(browser, server.endpoint) as sheet:
                take(sheet, make_scene(server), IMAGES)
            browser.close()


def pictures(scene: Scene) -> list[Picture]:
    """Return what is pictured."""
    return [
        Picture("console", HOME, 1200, 860, "light"),
        Picture("console-failed", f"{BELOW}/key-stores/{scene.failed}", 1200, 760, "dark"),
        Picture("console-cluster", f"{BELOW}/clusters/{scene.cluster}", 1200, 640, "light"),
        Picture("console-faults", f"{BELOW}/faults", 1200, 760, "light"),
        Picture("console-phone", f"{BELOW}/key-stores/{scene.failed}", 360, 780, "light"),
    ]


def take(sheet: Sheet, scene: Scene, into: Path) -> None:
    """Take each picture of its page, which must be there."""
    for name, path, width, height, scheme in pictures(scene):
        sheet.look(scheme, width, height)
        sheet.open(path).screenshot(path=into / f"{name}.png")


if __name__ == "__main__":
    main()
