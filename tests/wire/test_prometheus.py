"""docs/observability.md: what it tells Prometheus to ask for is there."""

import re
from pathlib import Path

import pytest
import yaml

from hsmstore.settings.fields import FIELDS
from tests.pages.reading import tried_by
from tests.server import Server, running
from tests.wire.refusals import code
from tests.wire.test_metrics import NO_STORE, Scrape

pytestmark = pytest.mark.simulator_only

JOB, DOOR, QUESTIONS = (block.text for block in tried_by(__file__))
[CONFIGURED] = yaml.safe_load(JOB + DOOR)["scrape_configs"]


def test_the_place_to_scrape(server: Server) -> None:
    """It is where a server listens by default, and metrics are there."""
    assert CONFIGURED["static_configs"] == [{"targets": [f"127.0.0.1:{FIELDS['port'].default}"]}]
    assert server.request("GET", CONFIGURED["metrics_path"]).status == 200


@pytest.mark.sqlite
def test_the_token_is_in_the_file(tmp_path: Path) -> None:
    """Who is asked for a token is served with the credentials in the file of that name."""
    with running(tmp_path / "data", "--profile", "instant", "--no-trust-local") as guarded:
        assert guarded.request("GET", CONFIGURED["metrics_path"]).status == 401
        file = guarded.data_dir / Path(CONFIGURED["authorization"]["credentials_file"]).name
        headers = {"Authorization": f"Bearer {file.read_text().strip()}"}
        assert guarded.request("GET", CONFIGURED["metrics_path"], headers=headers).status == 200


SELECTOR = re.compile(r"(hsmstore_\w+)(?:\{(.*?)\})?")
MATCHER = re.compile(r'(\w+)(!?=)"(.*?)"')
GROUPED = re.compile(r"\bby \((.*?)\)")


@pytest.mark.parametrize("question", re.findall(r"^[^#\n].*", QUESTIONS, re.MULTILINE))
def test_a_question_has_an_answer(question: str, server: Server) -> None:
    """Each series and label that it asks for is in a scrape of a server that has answered and refused."""
    kms = server.kms()
    kms.generate_random(NumberOfBytes=8)
    assert code(kms.generate_random, NumberOfBytes=8, CustomKeyStoreId=NO_STORE)
    samples = [sample for family in Scrape(server).families.values() for sample in family.samples]
    labels = {label for group in GROUPED.findall(question) for label in group.split(", ")}
    selectors = SELECTOR.findall(question)
    assert selectors
    for name, matchers in selectors:
        assert [
            sample
            for sample in samples
            if sample.name == name
            and labels <= sample.labels.keys()
            and all(
                (sample.labels[label] == value) is (operator == "=")
                for label, operator, value in MATCHER.findall(matchers)
            )
        ], f"no sample for {name}{{{matchers}}} by {labels}"
