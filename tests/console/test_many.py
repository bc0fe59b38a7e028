"""More key stores and clusters than a page has room for: all are counted, found, and to be reached."""

import html
import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from itertools import chain
from typing import NamedTuple
from urllib.parse import urldefrag, urljoin

import pytest

from tests.console.forms import BELOW
from tests.server import Server, external_members, running

HOME = "/_hsmstore/"
EXTERNAL = 201
CLUSTERS = 52
BACKUPS = 51


class Crowd(NamedTuple):
    """A server with many external key stores, oldest first, and at last one on a cluster of its own."""

    server: Server
    stores: list[str]
    last: str
    cluster: str

    def read(self, path: str) -> str:
        """Return a page."""
        answer = self.server.request("GET", path)
        assert answer.status == HTTPStatus.OK
        return html.unescape(answer.body.decode())

    def walk(self, path: str, pattern: str, section: str = "") -> list[list[str]]:
        """Return what the pattern finds on a page from a section on, and on those that its links lead to."""
        found: list[list[str]] = []
        while path:
            text = self.read(path)
            text = text[text.index(section) :]
            found.append(re.findall(pattern, text))
            links = re.findall('<a href="([^"]*)">The next</a>', text)
            path = urldefrag(urljoin(path, links[0])).url if links else ""
        assert '">The first</a>' in text
        return found


def new_external_store(server: Server, name: str) -> str:
    """Create an external key store without a client, which would take longer than the server."""
    answer = server.call("CreateCustomKeyStore", {"CustomKeyStoreName": name, **external_members(name)})
    assert answer.status == HTTPStatus.OK
    return str(json.loads(answer.body)["CustomKeyStoreId"])


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    """Serve many."""
    data_dir = tmp_path_factory.mktemp("crowd") / "data"
    with running(data_dir, "--profile", "instant", "--key-store-quota", "1000") as server:
        stores = [new_external_store(server, f"external-{number}") for number in range(EXTERNAL)]
        for _ in range(CLUSTERS - 1):
            assert server.manage("POST", "/clusters", {"HsmCount": 0})[0] == HTTPStatus.OK
        cluster = server.new_cluster()
        last = server.new_store("the last one", cluster)
        yield Crowd(server, [*stores, last], last, cluster["CloudHsmClusterId"])


def test_every_key_store_is_on_a_page(crowd: Crowd) -> None:
    """Links lead from page to page; the machine counts all, on each of them."""
    pages = crowd.walk(HOME, 'id="s-(cks-[0-9a-f]+)"')
    assert list(chain(*pages)) == crowd.stores
    assert [len(page) for page in pages] == [50, 50, 50, 50, 2]
    assert f'aria-label="Key stores by state: {len(crowd.stores)} DISCONNECTED."' in crowd.read(HOME)


def test_what_is_sought_is_found_among_all(crowd: Crowd) -> None:
    """Whatever the page, a name or an id is sought among all key stores, and what is found has pages, too."""
    for sought in ("THE LAST", crowd.last):
        text = crowd.read(f"{HOME}?find={sought.replace(' ', '+')}")
        assert re.findall('id="s-(cks-[0-9a-f]+)"', text) == [crowd.last]
        assert f"{len(crowd.stores)} in account" in text
        assert "; 1 found" in text
    pages = crowd.walk(f"{HOME}?find=external-1", "<bdi>(external-1[0-9]*)</bdi>")
    assert [len(page) for page in pages] == [50, 50, 11]


def test_a_cluster_in_use_is_not_offered(crowd: Crowd) -> None:
    """A cluster is known to stand behind its key store, however many there are before that."""
    form = crowd.read(HOME).partition('id="f-new-store"')[2].partition("</form>")[0]
    spare = [each["CloudHsmClusterId"] for each in crowd.server.manage("GET", "/clusters")[1]["Clusters"]]
    spare.remove(crowd.cluster)
    assert re.findall('<option value="(.*?)">', form) == spare[:0:-1]
    assert "The newest 50 of 51 " in form
    assert "the last one" in crowd.read(f"{BELOW}/clusters/{crowd.cluster}")
    pages = crowd.walk(f"{BELOW}/clusters", '<section class="panel cluster" id="([^"]+)"')
    assert [len(page) for page in pages] == [50, 2]
    assert pages[1][-1] == crowd.cluster
    assert f"The first 8 of {CLUSTERS}." in crowd.read(HOME)


def test_every_backup_is_on_a_page(crowd: Crowd) -> None:
    """A cluster's backups come in pages, and so do all, beside the pages of clusters."""
    made = [
        crowd.server.manage("POST", f"/clusters/{crowd.cluster}/backups")[1]["BackupId"]
        for _ in range(BACKUPS)
    ]
    for path in (f"{BELOW}/clusters/{crowd.cluster}", f"{BELOW}/clusters"):
        pages = crowd.walk(path, 'aria-label="Delete (backup-[0-9a-z]+)"', 'id="h-backups"')
        assert list(chain(*pages)) == made
        assert [len(page) for page in pages] == [50, 1]
    assert "50 of 51 are shown." in crowd.read(f"{BELOW}/clusters").partition('id="h-backups"')[2]


def test_a_fault_of_any_key_store(crowd: Crowd) -> None:
    """Where there are too many to choose from, a fault's key store is typed."""
    fields = f"Point=connect&Effect=hang&CustomKeyStoreId={crowd.last}".encode()
    assert '<input name="CustomKeyStoreId"' in crowd.read(f"{BELOW}/faults")
    answer = crowd.server.request("POST", f"{BELOW}/manage/add_fault", fields)
    assert answer.status == HTTPStatus.SEE_OTHER
    (fault,) = crowd.server.manage("GET", "/faults")[1]["Faults"]
    assert fault["CustomKeyStoreId"] == crowd.last


def test_the_management_api_has_pages(crowd: Crowd) -> None:
    """What the pages show a script gets alike: what is sought, in pages, with all counted."""
    found, query = list[str](), "Limit=80"
    while query:
        answer = crowd.server.manage("GET", f"/key-stores?{query}")[1]
        found += [store["CustomKeyStoreId"] for store in answer["KeyStores"]]
        assert answer["Count"] == len(crowd.stores)
        assert answer["States"] == {"DISCONNECTED": len(crowd.stores)}
        query = f"Limit=80&Marker={answer['NextMarker']}" if "NextMarker" in answer else ""
    assert found == crowd.stores
    answer = crowd.server.manage("GET", "/key-stores?Find=last")[1]
    assert ([store["CustomKeyStoreId"] for store in answer["KeyStores"]], answer["Count"]) == (
        [crowd.last],
        1,
    )


@pytest.mark.parametrize("marker", ["x", "1.5", "1.5,cks-", "1.5,cks-0,cks-1", "nan,cks-0"])
def test_a_foreign_marker(crowd: Crowd, marker: str) -> None:
    """What is no marker of ours is refused, by the API and in the page."""
    status, answer = crowd.server.manage("GET", f"/key-stores?Marker={marker}")
    assert (status, answer["__type"]) == (HTTPStatus.BAD_REQUEST, "CloudHsmInvalidRequestException")
    assert crowd.server.request("GET", f"{HOME}?after={marker}").status == HTTPStatus.BAD_REQUEST
