"""deploy/: the container file, the compose file and the unit say what is true of an installation."""

import configparser
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from hsmstore.settings import load
from hsmstore.settings.fields import FIELDS
from tests.house.tidy import ROOT
from tests.package.shipped import Distributions, Installation
from tests.server import Server

DEPLOY = ROOT / "deploy"
SETTINGS = {field.variable: field for field in FIELDS.values()}


def _instructions(text: str) -> list[tuple[str, str]]:
    """Return the instructions of a container file with their arguments, in order."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


CONTAINER = _instructions((DEPLOY / "Containerfile").read_text(encoding="utf-8"))
ENVIRONMENT = dict(
    word.split("=", 1) for name, rest in CONTAINER if name == "ENV" for word in shlex.split(rest)
)
HEALTH = next(rest for name, rest in CONTAINER if name == "HEALTHCHECK")


def _only(instruction: str) -> str:
    (argument,) = (rest for name, rest in CONTAINER if name == instruction)
    return argument


def _allowed(variables: dict[str, str]) -> None:
    """See that every variable is one of a setting, with a value that it may have."""
    ours = {name: value for name, value in variables.items() if name.startswith("HSMSTORE_")}
    assert set(ours) <= set(SETTINGS)
    load({}, ours, None)


def test_the_image_is_made_of_the_wheel_and_the_lock(built: Distributions) -> None:
    """What is copied is there after `make dist`, and let through to the engine."""
    (copied,) = (rest for name, rest in CONTAINER if name == "COPY" and "--from" not in rest)
    lock, wheel, _ = copied.split()
    assert (ROOT / lock).is_file()
    assert Path("dist", built.wheel.name).match(wheel)
    let_through = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()[1:]
    assert let_through == ["*", f"!{lock}", f"!{wheel}"]


def test_the_image_serves_everybody_from_its_volume() -> None:
    """Its variables are settings; port and volume are the ones that they name; the user is not root."""
    _allowed(ENVIRONMENT)
    assert ENVIRONMENT["HSMSTORE_PORT"] == _only("EXPOSE") == FIELDS["port"].default
    assert ENVIRONMENT["HSMSTORE_DATA_DIR"] == _only("VOLUME")
    assert int(_only("USER")) > 0
    made = next(rest for name, rest in CONTAINER if name == "RUN" and "softhsm2" in rest)
    assert f"--uid {_only('USER')} " in made
    assert "install -d -m 700 -o hsmstore -g hsmstore /data" in made


@pytest.fixture
def contained(tmp_path: Path, installation: Installation) -> Server:
    """Return a server as the image would start it, from an installation of the wheel."""
    assert ENVIRONMENT["HSMSTORE_ALLOW_UNSIGNED"] == ENVIRONMENT["HSMSTORE_ALLOW_PLAIN_HTTP"] == "true"
    options = ("--allow-unsigned", "--allow-plain-http", "--allow-host", "hsmstore")
    server = Server(tmp_path / "data", "--host", ENVIRONMENT["HSMSTORE_HOST"], *options)
    server.program = [str(installation.path / "bin" / json.loads(_only("ENTRYPOINT"))[0])]
    return server


def test_the_image_tells_whether_it_is_well(
    contained: Server, installation: Installation, tmp_path: Path
) -> None:
    """The health check fails before the server is there and holds while it serves; compose may call it."""
    _, _, check = HEALTH.partition("CMD ")
    python, *arguments = json.loads(check)
    assert python == "python"
    command = ["env", f"HSMSTORE_PORT={contained.port}", str(installation.python), *arguments]
    assert installation.run(*command, home=tmp_path).returncode != 0
    contained.start()
    try:
        well = installation.run(*command, home=tmp_path)
        assert well.returncode == 0, well.stderr
        status = {
            name: contained.request("GET", "/_hsmstore/ready", headers={"Host": f"{name}:4599"}).status
            for name in ("hsmstore", "elsewhere")
        }
        assert status["hsmstore"] == 200
        assert status["elsewhere"] != 200
    finally:
        contained.stop()


def test_compose_starts_tests_when_the_simulator_is_well() -> None:
    """The tests find it by its service's name, which it lets in."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    ours, tests = services["hsmstore"], services["tests"]
    _allowed(ours["environment"])
    assert ours["environment"]["HSMSTORE_ALLOW_HOST"] == "hsmstore"
    assert tests["environment"]["AWS_ENDPOINT_URL_KMS"] == f"http://hsmstore:{_only('EXPOSE')}"
    assert tests["depends_on"] == {"hsmstore": {"condition": "service_healthy"}}
    assert ours["ports"] == ["127.0.0.1:4599:4599"]
    assert ours["volumes"] == [f"data:{_only('VOLUME')}"]
    assert (DEPLOY / ours["build"]["context"] / ours["build"]["dockerfile"]).resolve() == (
        DEPLOY / "Containerfile"
    )


def test_the_unit_starts_what_is_installed(installation: Installation) -> None:
    """Its command is the wheel's, its variables are settings; it stays down where a restart is no help."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names have capitals
    unit.read(DEPLOY / "hsmstore.service", encoding="utf-8")
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert arguments == ["serve"]
    assert (installation.path / Path(program).relative_to("/opt/hsmstore")).is_file()
    _allowed(dict([service["Environment"].split("=", 1)]))
    assert service["Environment"].endswith(f"=%S/{service['StateDirectory']}")
    assert service["RestartPreventExitStatus"].split() == ["2", "4"]
    assert service["DynamicUser"] == service["NoNewPrivileges"] == "yes"


def test_installing_says_what_doctor_says() -> None:
    """docs/install.md has the commands that the profile of SoftHSM2 has."""
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    profile = (ROOT / "softhsm" / "softhsm2.toml").read_text(encoding="utf-8")
    commands = re.findall(r'^(?:apt|dnf|brew) = "(.*)"', profile, re.MULTILINE)
    assert len(commands) == 3
    assert [command for command in commands if f"`{command}`" not in page] == []
