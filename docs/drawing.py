"""The ConnectionState machine as an SVG file, in the console's layout: states.svg."""

from html import escape
from typing import Final

from hsmstore.console.machine import Edge, Node, of_all

_STYLE: Final = """\
text { font: 10.5px system-ui, sans-serif; fill: #444; paint-order: stroke; stroke: #fff; stroke-width: 4px; }
path { fill: none; stroke: #777; stroke-width: 1.2; }
rect { fill: #fff; stroke: #777; stroke-width: 1.2; }
.state { font-weight: 600; fill: #111; stroke: none; text-anchor: middle; }
marker path { fill: #777; stroke: none; }"""

_HEAD: Final = (
    '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 L8 4 L0 8 z"/></marker>'
)


def states() -> str:
    """Return the picture, on white: it is read in dark pages, too."""
    picture = of_all({})
    width, height = picture.width + 16, picture.height + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -14 {width} {height}" role="img">',
        "<title>The ConnectionState machine</title>",
        f"<style>\n{_STYLE}\n</style>",
        f"<defs>{_HEAD}</defs>",
        f'<rect x="-8" y="-14" width="{width}" height="{height}" rx="6" style="stroke: none"/>',
        *map(_edge, picture.edges),
        *map(_node, picture.nodes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _edge(edge: Edge) -> str:
    line = edge.line
    label = escape(edge.event.replace("_", " "))
    return (
        f'<path d="{line.path}" marker-end="url(#head)"/>'
        f'<text x="{line.x}" y="{line.y}" text-anchor="{line.anchor}">{label}</text>'
    )


def _node(node: Node) -> str:
    return (
        f'<rect x="{node.x}" y="{node.y}" width="{node.width}" height="{node.height}" rx="6"/>'
        f'<text class="state" x="{node.x + node.width // 2}" y="{node.y + node.height // 2 + 4}">'
        f"{node.state}</text>"
    )
