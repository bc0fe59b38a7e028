"""docs/ci.md: what it tells GitHub and GitLab to do is well-formed, and its lines do it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hsmstore.settings.fields import FIELDS
from tests.package.shipped import Distributions, Installation
from tests.pages.reading import Block, tried_by
from tests.server import Server

ON_GITHUB, ON_GITLAB = tried_by(__file__)
GITHUB, GITLAB = yaml.safe_load(ON_GITHUB.text)["jobs"]["test"], yaml.safe_load(ON_GITLAB.text)["test"]
STEPS = {step.get("name", step.get("uses")): step for step in GITHUB["steps"]}
ENDPOINT = f"http://127.0.0.1:{FIELDS['port'].default}"

TEST = """\
import boto3

def test_draw():
    kms = boto3.client("kms")
    [store] = kms.describe_custom_key_stores()["CustomKeyStores"]
    assert kms.generate_random(NumberOfBytes=8, CustomKeyStoreId=store["CustomKeyStoreId"])["Plaintext"]
"""


@pytest.mark.parametrize(
    ("block", "schema"), [(ON_GITHUB, "github-workflows"), (ON_GITLAB, "gitlab-ci")], ids=["github", "gitlab"]
)
def test_it_is_well_formed(block: Block, schema: str, tmp_path: Path) -> None:
    """It has the members that GitHub's and GitLab's own schemas allow."""
    file = tmp_path / "job.yml"
    file.write_text(block.text)
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_both_install_what_is_needed(built: Distributions) -> None:
    """The HSM and the package, in a job whose tests know where the simulator is."""
    for lines in (STEPS["Install"]["run"], "\n".join(GITLAB["before_script"])):
        assert "apt-get install -y --no-install-recommends softhsm2" in lines
        assert f"\npip install wheels/{built.wheel.name} " in lines
    assert {STEPS["Test"]["env"]["AWS_ENDPOINT_URL_KMS"], GITLAB["variables"]["AWS_ENDPOINT_URL_KMS"]} == {
        ENDPOINT
    }


def _github() -> tuple[str, dict[str, str]]:
    return f"{STEPS['Start the simulator']['run']}\n{STEPS['Test']['run']}", STEPS["Test"]["env"]


def _gitlab() -> tuple[str, dict[str, str]]:
    lines = [*GITLAB["before_script"], *GITLAB["script"]]
    return "\n".join(line for line in lines if not line.startswith(("apt-get ", "pip "))), GITLAB["variables"]


@pytest.mark.parametrize(("lines", "variables"), [_github(), _gitlab()], ids=["github", "gitlab"])
def test_its_lines_test(
    lines: str, variables: dict[str, str], installation: Installation, tmp_path: Path
) -> None:
    """A simulator is started, and tests that know it by the variables alone draw from its key store."""
    port = str(Server(tmp_path / "nowhere").port)  # a free one
    variables = {name: text.replace("4599", port) for name, text in variables.items()}
    places = {"HOME": str(tmp_path), "RUNNER_TEMP": str(tmp_path), "CI_PROJECT_DIR": str(tmp_path)}
    path = f"{installation.path / 'bin'}:{Path(sys.executable).parent}:{os.defpath}"
    (tmp_path / "test_draw.py").write_text(TEST)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p)' EXIT\n{lines}".replace("4599", port)],
        cwd=tmp_path,
        env={"PATH": path, "HSMSTORE_PORT": port, **places, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "hsmstore.log").read_text()
    assert "1 passed" in done.stdout
