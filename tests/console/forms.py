"""The forms of a page, as a browser without scripts finds and sends them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http import HTTPStatus
from urllib.parse import urlencode

from tests.server import Answer, Server

BELOW = "/_hsmstore/console"


@dataclass
class Form:
    """A form: where it is sent, and what stands in its fields.

    `secrets` are passwords; those that are `asked` must be typed. `current` tells whether it is the step of a
    way out that is to be taken.
    """

    action: str
    current: bool
    fields: dict[str, str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def act(self) -> str:
        """The name of the act."""
        return self.action.rpartition("/")[2]

    def send(self, server: Server, password: str = "") -> Answer:
        """Press its button, with a password in each field that must have one; return the page it leads to."""
        fields = self.fields | dict.fromkeys(self.asked, password)
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = server.request("POST", self.action, urlencode(fields).encode(), kind)
        assert answer.status == HTTPStatus.SEE_OTHER, answer.body.decode()
        return server.request("GET", answer.headers["location"])


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._current = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of forms, their fields, and of steps."""
        given = {name: value or "" for name, value in attrs}
        if tag == "li":
            self._current = given.get("class") == "now"
        elif tag == "form":
            self.forms.append(Form(given.get("action", ""), self._current))
        elif tag in {"input", "select"} and "name" in given:
            self.forms[-1].fields[given["name"]] = given.get("value", "")
            if given.get("type") == "password":
                self.forms[-1].secrets.append(given["name"])
                self.forms[-1].asked += [given["name"]] if "required" in given else []

    def handle_endtag(self, tag: str) -> None:
        """Leave the steps."""
        if tag == "ol":
            self._current = False


def forms_of(server: Server, path: str) -> list[Form]:
    """Return the forms of a page that do something."""
    reader = _Reader()
    reader.feed(server.request("GET", path).body.decode())
    return [form for form in reader.forms if form.action]
