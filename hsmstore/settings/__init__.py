"""The settings of a server: where their values come from.

Precedence: command line, environment (`HSMSTORE_<NAME>`), TOML file, default. Only the value that wins is
looked at, so an option can always overrule a bad variable; a TOML file is refused for any key that it should
not have. An empty variable counts as unset. A relative path in a TOML file counts from that file.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from hsmstore.domain.attestation import AWS_ROOT, Root
from hsmstore.domain.masking import mask
from hsmstore.settings.environment import CONFIG_VARIABLE, default_data_dir
from hsmstore.settings.fields import FIELDS, TYPES, Settings


class BadSetting(Exception):
    """A value that cannot be used. The text is one line: where it came from, the value, what is allowed."""


class Loaded(NamedTuple):
    """Settings, and for each field where its value came from, such as `HSMSTORE_PORT`.

    `again` settles them anew, from the same options and from the files as they are by then.
    """

    settings: Settings
    origins: Mapping[str, str]
    again: Callable[[], "Loaded"]


class _Source(NamedTuple):
    """One place that gives values. `label` names the place of a field; `base` is where its paths start."""

    values: Mapping[str, object]
    label: Callable[[str], str]
    base: Path
    text_only: bool


def load(options: Mapping[str, object], environment: Mapping[str, str], config: Path | None = None) -> Loaded:
    """Settle the settings: `options` are the command line's by field name, `config` is a TOML file.

    Raises:
        BadSetting: a value is not allowed, or the TOML file cannot be read or has a key that is no setting.

    """
    sources = (_from_options(options), _from_environment(environment), _from_toml(environment, config))
    values: dict[str, Any] = {"data_dir": default_data_dir(environment)}
    origins = dict.fromkeys(FIELDS, "default")
    for name in FIELDS:
        source = next((source for source in sources if name in source.values), None)
        if source is not None:
            values[name] = _converted(name, source)
            origins[name] = source.label(name)
    return Loaded(Settings(**values), origins, partial(load, options, environment, config))


def checked(name: str, text: str, source: str) -> str:
    """Return `text` if it could be the value of a setting that is a text.

    Raises:
        BadSetting: it could not; `source` is where it came from.

    """
    return str(_converted(name, _Source({name: text}, lambda _: source, Path.cwd(), text_only=True)))


def _from_options(options: Mapping[str, object]) -> _Source:
    given = {name: value for name, value in options.items() if value is not None and value != []}
    return _Source(given, lambda name: f"--{name.replace('_', '-')}", Path.cwd(), text_only=True)


def _from_environment(environment: Mapping[str, str]) -> _Source:
    given = {name: environment.get(field.variable) for name, field in FIELDS.items()}
    return _Source(
        {
            name: value.split(os.pathsep) if FIELDS[name].type is tuple else value
            for name, value in given.items()
            if value
        },
        lambda name: FIELDS[name].variable,
        Path.cwd(),
        text_only=True,
    )


def _from_toml(environment: Mapping[str, str], config: Path | None) -> _Source:
    named_by, path = ("--config", config) if config else (CONFIG_VARIABLE, environment.get(CONFIG_VARIABLE))
    if not path:
        return _Source({}, str, Path.cwd(), text_only=False)
    file = _home_expanded(Path(path)).absolute()
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSetting(f"{named_by}: cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # TOML's own error, UTF-8's, and arrays in arrays in arrays
        raise BadSetting(f"{file}: this is not TOML: {error}") from error
    for key in values.keys() - FIELDS.keys():
        raise BadSetting(f"{file}: there is no setting {key!r}; {_suggestion(key)}")
    return _Source(values, lambda name: f"{name} in {file}", file.parent, text_only=False)


def _suggestion(key: str) -> str:
    close = difflib.get_close_matches(key.lower().replace("-", "_"), FIELDS, n=1)
    return f"did you mean {close[0]!r}?" if close else f"the settings are {', '.join(FIELDS)}"


def _home_expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # ~nobody: no such user; the name is then a name
        return path


def _converted(name: str, source: _Source) -> Any:
    raw = source.values[name]

    def path(kind: type, value: object) -> Path | Root:
        if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
            raise TypeError
        if kind is Root and value == AWS_ROOT:
            return AWS_ROOT
        found = source.base / _home_expanded(Path(value))
        return Root(found) if kind is Root else found

    several = [raw] if FIELDS[name].type is tuple and isinstance(raw, str) else raw
    try:
        return msgspec.convert(several, TYPES[name], strict=not source.text_only, dec_hook=path)
    except msgspec.ValidationError as error:
        only = raw[0] if isinstance(raw, list) and len(raw) == 1 else raw
        shown = mask(only) if isinstance(only, str) else only
        raise BadSetting(f"{source.label(name)}: {shown!r} is not {FIELDS[name].allowed}") from error
