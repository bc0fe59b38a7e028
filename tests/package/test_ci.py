"""docs/ci.md: what it tells GitHub and GitLab to do is well-formed, and its lines start a simulator."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from hsmstore.settings.fields import FIELDS
from tests.house.tidy import ROOT
from tests.package.shipped import Installation
from tests.server import Server

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
GITHUB, GITLAB = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
STEPS = {step.get("name", step.get("uses")): step for step in GITHUB["jobs"]["test"]["steps"]}


def _github() -> tuple[str, dict[str, str]]:
    return STEPS["Start the simulator"]["run"], STEPS["Test"]["env"]


def _gitlab() -> tuple[str, dict[str, str]]:
    install = ("apt-get ", "pip ")
    return "\n".join(line for line in GITLAB["test"]["before_script"] if not line.startswith(install)), (
        GITLAB["test"]["variables"]
    )


def test_both_install_what_is_needed() -> None:
    """The HSM and the package, in a job whose tests know where the simulator is."""
    for lines in (STEPS["Install"]["run"], "\n".join(GITLAB["test"]["before_script"])):
        assert "apt-get install -y --no-install-recommends softhsm2" in lines
        assert re.search(r"^pip install hsmstore\b", lines, re.MULTILINE)
    endpoint = f"http://127.0.0.1:{FIELDS['port'].default}"
    assert {_github()[1]["AWS_ENDPOINT_URL_KMS"], _gitlab()[1]["AWS_ENDPOINT_URL_KMS"]} == {endpoint}


@pytest.mark.parametrize("job", [_github, _gitlab])
def test_its_lines_start_a_simulator(job: Any, installation: Installation, tmp_path: Path) -> None:
    """The shell comes back when calls are served, and an SDK finds the simulator by the variables alone."""
    lines, variables = job()
    port = str(Server(tmp_path / "nowhere").port)  # a free one
    variables = {name: text.replace("4599", port) for name, text in variables.items()}
    places = {"HOME": str(tmp_path), "RUNNER_TEMP": str(tmp_path), "CI_PROJECT_DIR": str(tmp_path)}
    path = f"{installation.path / 'bin'}:{os.defpath}"
    started = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{lines}\njobs -p > pid".replace("4599", port)],
        cwd=tmp_path,
        env={"PATH": path, "HSMSTORE_PORT": port, **places},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    try:
        assert started.returncode == 0, started.stdout + (tmp_path / "hsmstore.log").read_bytes()
        with pytest.MonkeyPatch.context() as patch:
            for name, text in variables.items():
                patch.setenv(name, text)
            answer = boto3.client("kms").generate_random(NumberOfBytes=8)
        assert len(answer["Plaintext"]) == 8
    finally:
        os.kill(int((tmp_path / "pid").read_text()), 15)
