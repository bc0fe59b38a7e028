"""Where each setting comes from, and what is said of one that cannot be."""

import json
from pathlib import Path

import msgspec
import pytest

from hsmstore.domain.masking import mask
from hsmstore.settings import BadSetting, load
from hsmstore.settings.environment import default_data_dir
from hsmstore.settings.fields import FIELDS, Settings
from tests.cli.conftest import CommandLine

pytestmark = pytest.mark.sqlite  # no registry is met

SAMPLES: dict[str, tuple[str, object]] = {
    "host": ("0.0.0.0", "0.0.0.0"),  # noqa: S104 - compared, never bound
    "port": ("4600", 4600),
    "allow_host": (".example.com", (".example.com",)),
    "data_dir": ("/srv/hsm", Path("/srv/hsm")),
    "database_url": ("postgresql://host/name", "postgresql://host/name"),
    "upstream": ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    "master_key": ("/srv/master.key", Path("/srv/master.key")),
    "tls": ("true", True),
    "tls_cert": ("/srv/server.pem", Path("/srv/server.pem")),
    "tls_key": ("/srv/server.key", Path("/srv/server.key")),
    "tls_client_ca": ("/srv/ca.pem", Path("/srv/ca.pem")),
    "allow_plain_http": ("true", True),
    "allow_unsigned": ("true", True),
    "token_file": ("/srv/token", Path("/srv/token")),
    "trust_local": ("false", False),
    "lease": ("9", 9),
    "threads": ("8", 8),
    "connections": ("100", 100),
    "demo": ("false", False),
    "traces": ("true", True),
    "account": ("123456789012", "123456789012"),
    "region": ("eu-central-1", "eu-central-1"),
    "trail": ("false", False),
    "trail_keep": ("7", 7),
    "trail_size": ("128", 128),
    "quota_rate": ("CreateKey=50", ("CreateKey=50",)),
    "key_store_quota": ("20", 20),
    "pkcs11_profile": ("opencryptoki", "opencryptoki"),
    "pkcs11_module": ("/usr/lib/pkcs11.so", Path("/usr/lib/pkcs11.so")),
    "attestation_root": ("aws", ("aws",)),
    "principals": ("/srv/principals.json", Path("/srv/principals.json")),
    **{name: (field.choices[-1], field.choices[-1]) for name, field in FIELDS.items() if field.choices},
}
"""For each setting the text of a value that is no default, and the value."""

BAD = {
    "host": "",
    "port": "65536",
    "allow_host": "hsm store",
    "data_dir": "",
    "database_url": "registry.sqlite3",
    "upstream": "127.0.0.1:5000",
    "master_key": "",
    "tls": "perhaps",
    "tls_cert": "",
    "tls_key": "",
    "tls_client_ca": "",
    "allow_plain_http": "perhaps",
    "allow_unsigned": "perhaps",
    "token_file": "",
    "trust_local": "perhaps",
    "lease": "0",
    "threads": "0",
    "connections": "15",
    "demo": "perhaps",
    "traces": "perhaps",
    "account": "12345678901",
    "region": "Frankfurt",
    "trail": "perhaps",
    "trail_keep": "0",
    "trail_size": "127",
    "quota_rate": "CreateKey=0",
    "key_store_quota": "-1",
    "pkcs11_profile": "../etc",
    "pkcs11_module": "",
    "attestation_root": "",
    "principals": "",
    **{name: "none of these" for name, field in FIELDS.items() if field.choices},
}
"""For each setting a text that cannot be its value."""


def _toml(directory: Path, name: str, value: object) -> Path:
    file = directory / "hsmstore.toml"
    shown = value if isinstance(value, int) else json.dumps(value, default=str)
    file.write_text(f"{name} = {str(shown).lower() if isinstance(value, bool) else shown}\n")
    return file


def test_every_setting_is_sampled() -> None:
    """A new setting must be added to the samples of this file."""
    assert SAMPLES.keys() == BAD.keys() == FIELDS.keys()


@pytest.mark.parametrize("name", FIELDS)
def test_each_source_gives_each_setting(name: str, tmp_path: Path) -> None:
    """An option, a variable and a TOML file give the same value, and it is known which of them gave it."""
    text, value = SAMPLES[name]
    file = _toml(tmp_path, name, value)
    variable = FIELDS[name].variable
    for loaded, origin in (
        (load({name: text}, {}), f"--{name.replace('_', '-')}"),
        (load({}, {variable: text}), variable),
        (load({}, {}, file), f"{name} in {file}"),
        (load({}, {"HSMSTORE_CONFIG": str(file)}), f"{name} in {file}"),
    ):
        assert getattr(loaded.settings, name) == value
        assert loaded.origins[name] == origin
        assert {source for other, source in loaded.origins.items() if other != name} == {"default"}


@pytest.mark.parametrize("name", FIELDS)
def test_precedence(name: str, tmp_path: Path) -> None:
    """The option wins over the variable, the variable over the file; what has lost is not looked at."""
    text, value = SAMPLES[name]
    variable = FIELDS[name].variable
    file = tmp_path / "bad.toml"
    file.write_text(f"{name} = []\n")
    bad = "bad" if BAD[name] == "" else BAD[name]
    assert getattr(load({name: text}, {variable: bad}, file).settings, name) == value
    assert getattr(load({}, {variable: text}, file).settings, name) == value
    with pytest.raises(BadSetting):
        load({}, {variable: ""}, file)


@pytest.mark.parametrize("name", FIELDS)
def test_bad_values_are_named(name: str, tmp_path: Path) -> None:
    """The error is one line with the source, the value, and what is allowed."""
    option, bad, allowed = f"--{name.replace('_', '-')}", BAD[name], FIELDS[name].allowed
    with pytest.raises(BadSetting) as by_option:
        load({name: bad}, {})
    assert str(by_option.value) == f"{option}: {bad!r} is not {allowed}"
    file = _toml(tmp_path, name, bad)
    with pytest.raises(BadSetting) as by_file:
        load({}, {}, file)
    assert str(by_file.value) == f"{name} in {file}: {bad!r} is not {allowed}"
    if bad:  # an empty variable counts as unset
        with pytest.raises(BadSetting) as by_variable:
            load({}, {FIELDS[name].variable: bad})
        assert str(by_variable.value) == f"{FIELDS[name].variable}: {bad!r} is not {allowed}"


@pytest.mark.parametrize("name", FIELDS)
def test_toml_has_types(name: str, tmp_path: Path) -> None:
    """A TOML value of the wrong type is refused, not read as text."""
    file = tmp_path / "typed.toml"
    file.write_text(f"{name} = 1.5\n")
    with pytest.raises(BadSetting, match=rf"^{name} in .*typed\.toml: 1\.5 is not "):
        load({}, {}, file)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("prot", "did you mean 'port'?"),
        ("data-dir", "did you mean 'data_dir'?"),
        ("zzz", f"the settings are {', '.join(FIELDS)}"),
    ],
)
def test_unknown_key(key: str, hint: str, tmp_path: Path) -> None:
    """A TOML key that is no setting is refused, with the one that was probably meant."""
    file = _toml(tmp_path, key, 1)
    with pytest.raises(BadSetting) as refused:
        load({}, {}, file)
    assert str(refused.value) == f"{file}: there is no setting {key!r}; {hint}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "--config: cannot read .*: No such file or directory"),
        (b"port = ", "not TOML: Invalid value"),
        (b"host = '\xff'", "not TOML: 'utf-8' codec can't decode"),
        (b"host = " + b"[" * 100_000, "not TOML: "),
    ],
    ids=["missing", "broken", "not UTF-8", "deep"],
)
def test_unusable_file(content: bytes | None, reason: str, tmp_path: Path) -> None:
    """A file that cannot be read or is not TOML is named with the reason."""
    file = tmp_path / "hsmstore.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadSetting, match=reason) as refused:
        load({}, {}, file)
    assert str(file) in str(refused.value)


def test_paths_start_where_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path counts from the directory of its TOML file, or else from the current one; ~ is home."""
    file = tmp_path / "etc" / "hsmstore.toml"
    file.parent.mkdir()
    file.write_text('data_dir = "data"\n')
    monkeypatch.chdir(tmp_path)
    assert load({}, {}, Path("etc/hsmstore.toml")).settings.data_dir == tmp_path / "etc" / "data"
    assert load({"data_dir": Path("data")}, {}).settings.data_dir == tmp_path / "data"
    assert load({"data_dir": "~/data"}, {}).settings.data_dir == Path.home() / "data"
    assert load({"data_dir": "~no-such-user/data"}, {}).settings.data_dir == tmp_path / "~no-such-user/data"


def test_default_data_dir() -> None:
    """XDG_DATA_HOME counts where it is absolute, as its specification says."""
    assert default_data_dir({"XDG_DATA_HOME": "/xdg"}) == Path("/xdg/hsmstore")
    for environment in ({}, {"XDG_DATA_HOME": ""}, {"XDG_DATA_HOME": "relative"}):
        assert default_data_dir(environment) == Path.home() / ".local/share/hsmstore"
    assert load({}, {"XDG_DATA_HOME": "/xdg"}).settings.data_dir == Path("/xdg/hsmstore")


def test_nobody_has_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom the system does not know may name a directory, and is refused the default by the system."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    assert default_data_dir({}) == Path("/.local/share/hsmstore")
    assert load({"data_dir": "/srv/hsm"}, {}).settings.data_dir == Path("/srv/hsm")


def test_registry_url() -> None:
    """The registry is SQLite in the data directory unless a URL says otherwise."""
    settings = Settings(data_dir=Path("/srv/hsm"))
    assert settings.registry_url == "sqlite:////srv/hsm/registry.sqlite3"
    other = msgspec.structs.replace(settings, database_url="postgresql://host/name")
    assert other.registry_url == "postgresql://host/name"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:secret@host/name", "postgresql://user:***@host/name"),
        ("postgresql://user:s@cr/et@host/name", "postgresql://user:***@host/name"),
        ("postgresql://user@tenant:secret@host/name", "postgresql://user@tenant:***@host/name"),
        ("postgresql://:secret@host/name", "postgresql://:***@host/name"),
        ("user:secret@host", "user:***@host"),
        ("postgresql://host/name?user=me&password=secret", "postgresql://host/name?user=me&password=***"),
        ("postgresql://host/name?sslPassword=secret&x=1", "postgresql://host/name?sslPassword=***&x=1"),
        ("postgresql://user@host:5432/name", "postgresql://user@host:5432/name"),
        ("sqlite:////srv/hsm/registry.sqlite3", "sqlite:////srv/hsm/registry.sqlite3"),
    ],
)
def test_mask(url: str, shown: str) -> None:
    """Passwords of a URL are not shown, and nothing else is hidden."""
    assert mask(url) == shown
    masked = Settings(data_dir=Path("/srv/hsm"), database_url=url, upstream=url).masked()
    assert masked == Settings(data_dir=Path("/srv/hsm"), database_url=shown, upstream=shown)


def test_print_settings(hsmstore: CommandLine, tmp_path: Path) -> None:
    """`serve --print-settings` prints TOML of the same settings, with their sources, without secrets."""
    arguments = ("serve", "--print-settings", "--port", "4600", "--data-dir", str(tmp_path))
    environment = {"HSMSTORE_DATABASE_URL": "postgresql://user:secret@host/name"}
    printed = hsmstore(*arguments, **environment)
    assert printed.code == 0
    assert "secret" not in printed.out
    file = tmp_path / "printed.toml"
    file.write_text(printed.out)
    options = {"port": "4600", "data_dir": str(tmp_path)}
    expected = load(options, environment)
    assert load({}, {}, file).settings == expected.settings.masked()
    origins = [line.rpartition("# ")[2] for line in printed.out.splitlines()]
    assert origins == list(expected.origins.values())


def test_print_settings_as_json(hsmstore: CommandLine) -> None:
    """With --json each setting has its value and where that came from."""
    printed = hsmstore("serve", "--print-settings", "--json", HSMSTORE_THREADS="2").json
    assert list(printed) == list(FIELDS)
    assert printed["threads"] == {"value": 2, "from": "HSMSTORE_THREADS"}
    assert printed["port"] == {"value": 4599, "from": "default"}
    assert printed["pkcs11_module"] == {"value": None, "from": "default"}


@pytest.mark.parametrize(
    ("arguments", "environment", "text"),
    [
        (["--port", "x"], {}, "--port: 'x' is not a whole number from 1 to 65535"),
        ([], {"HSMSTORE_PROFILE": "fast"}, "HSMSTORE_PROFILE: 'fast' is not instant, lifelike or aws"),
        (["--config", "/none.toml"], {}, "--config: cannot read /none.toml: No such file or directory"),
        (
            [],
            {"HSMSTORE_CONFIG": "/none.toml"},
            "HSMSTORE_CONFIG: cannot read /none.toml: No such file or directory",
        ),
    ],
)
def test_bad_settings_are_usage(
    hsmstore: CommandLine, arguments: list[str], environment: dict[str, str], text: str
) -> None:
    """`serve` with a bad setting ends with 2 and one line."""
    outcome = hsmstore("serve", *arguments, **environment)
    assert outcome == (2, "", f"hsmstore: {text}\n")
