"""The documentation is true: every code block of README.md and docs/ runs, page by page, from top to bottom.

What a block is, says its language:

- `console`: what is typed behind `$ ` (more lines behind `> `), and below it what comes of it, which is
  compared. A command may fail if the page shows the last line that it says.
- `sh`: lines to paste. Each must succeed; what they say is not compared.
- `python` is executed, or run by pytest if it has tests; `pycon` is compared like a console.
- `json`, `toml`, `yaml`, `ini`: parsed. They must be used: written to a file, of which a later block speaks.
- `text` is for the eye. A command or a program does not hide in it.

A block behind a paragraph that ends in "`NAME`:" is the content of the file NAME, whatever its language.
One behind a paragraph that ends in "*Tried by FILE.*" is data for a program that is not here. That test finds
it with `tried_by(__file__)` and holds it against what the project really has.

One shell and one Python serve a whole page, in a directory and with a home of its own. `hsmstore serve` in a
console starts a server, and ends when another takes its port, or with the page. The ports that a page names
are others in truth. pip finds everything there, and asks no index. In what is compared, an id that the
page shows stands for one that the page is shown: the first comparison says for which. Times and random
hexadecimal digits stand for any others. `…` stands for anything, and as a line of its own for any lines.

`pytest tests/pages --rewrite` writes what was shown into the pages where it differs.
"""
