"""How Sphinx makes the site of docs/: `make site`. A warning is an error; nothing comes from elsewhere."""

import re

from sphinx.application import Sphinx

from hsmstore import __version__

project = "hsmstore"
author = "the authors of hsmstore"
release = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["model"]
nitpicky = True

myst_heading_anchors = 3

html_theme = "furo"
html_title = "hsmstore"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"


def setup(app: Sphinx) -> None:
    """Offer what links out of docs/ lead to as downloads: files that are no pages of the site."""
    app.connect("source-read", _lead_out)


def _lead_out(_app: Sphinx, _name: str, source: list[str]) -> None:
    source[0] = re.sub(r"\]\(\.\./([\w./-]+)\)", r"](path:../\1)", source[0])
