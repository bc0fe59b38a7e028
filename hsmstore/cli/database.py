"""`hsmstore db`: the registry's schema."""

from typing import Final

import typer

from hsmstore.cli import screen
from hsmstore.cli.options import AsJson, takes_settings
from hsmstore.domain.masking import mask
from hsmstore.settings import Loaded

app: Final = typer.Typer(help="Look after the schema of the registry.")


@app.command("upgrade")
@takes_settings("data_dir", "database_url")
def upgrade(*, loaded: Loaded, as_json: AsJson = False) -> None:
    """Bring the schema up to date; `serve` does it by itself."""
    from hsmstore.bootstrap import schema  # noqa: PLC0415 - the database costs time that others need not spend

    schema.upgrade_registry(loaded.settings)
    _tell(loaded, schema.registry_state(loaded.settings).name.lower(), as_json=as_json)


@app.command("current")
@takes_settings("data_dir", "database_url")
def current(*, loaded: Loaded, as_json: AsJson = False) -> None:
    """Tell whether the schema is empty, outdated or current."""
    from hsmstore.bootstrap import schema  # noqa: PLC0415 - as above

    _tell(loaded, schema.registry_state(loaded.settings).name.lower(), as_json=as_json)


def _tell(loaded: Loaded, state: str, *, as_json: bool) -> None:
    url = mask(loaded.settings.registry_url)
    if as_json:
        screen.document({"DatabaseUrl": url, "State": state})
    else:
        screen.line(f"{url} is {state}")
