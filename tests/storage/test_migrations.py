"""A database becomes ours, stays ours, and is refused unharmed where it cannot be."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from shutil import copytree

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from hsmstore.resources import resource
from hsmstore.storage import engine, migrations
from hsmstore.storage.migrations import REVISIONS, SchemaState, current_state, upgrade
from hsmstore.storage.registry import SqlRegistry
from tests.registries import REGISTRIES
from tests.storage.conftest import refusal
from tests.storage.entities import SCOPE, store
from tests.storage.schema import execute, schema_of


@pytest.fixture
def alembic(url: str) -> Config:
    """Return what `alembic -x url=…` works with."""
    config = Config(resource("alembic.ini"))
    config.cmd_opts = type("Options", (), {"x": [f"url={url}"]})()
    return config


# From one schema to the next.


def test_models_and_migrations_do_not_drift(alembic: Config) -> None:
    """Alembic finds nothing to add to the migrated schema."""
    command.upgrade(alembic, "head")
    command.check(alembic)


def test_migrations_make_what_the_models_say(url: str, alembic: Config, tmp_path: Path) -> None:
    """Part by part, CHECK constraints included, which Alembic does not compare."""
    command.upgrade(alembic, "head")
    (tmp_path / "models").mkdir()
    models = REGISTRIES.url(tmp_path / "models")
    upgrade(models)
    assert schema_of(url) == schema_of(models)
    assert current_state(models) is SchemaState.CURRENT


def test_revisions_are_known_in_order() -> None:
    """REVISIONS lists what lies in migrations/versions, from the first to the one head."""
    scripts = ScriptDirectory.from_config(Config(resource("alembic.ini")))
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS
    assert scripts.get_current_head() == REVISIONS[-1]


def test_states_of_a_database(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty before its first start, current after, outdated once there is a newer revision."""
    assert current_state(url) is SchemaState.EMPTY
    upgrade(url)
    assert current_state(url) is SchemaState.CURRENT
    monkeypatch.setattr(migrations, "REVISIONS", (*REVISIONS, "9999"))
    assert current_state(url) is SchemaState.OUTDATED


def test_down_and_up_again(url: str, alembic: Config) -> None:
    """The way back ends in nothing, and the way forth in the same schema as before."""
    upgrade(url)
    wanted = schema_of(url)
    command.downgrade(alembic, "base")
    assert schema_of(url) == {}
    assert current_state(url) is SchemaState.EMPTY
    command.upgrade(alembic, "head")
    assert schema_of(url) == wanted
    command.downgrade(alembic, "base")
    upgrade(url)
    assert schema_of(url) == wanted
    assert current_state(url) is SchemaState.CURRENT


def test_upgrade_keeps_what_is_there(url: str) -> None:
    """A second upgrade changes nothing and loses nothing."""
    upgrade(url)
    with closing(SqlRegistry(url)) as registry, registry.writing() as unit:
        unit.add_key_store(store())
    upgrade(url)
    with closing(SqlRegistry(url)) as registry, registry.reading() as unit:
        assert unit.key_stores(SCOPE) == [store()]


def test_a_failed_migration_changes_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that fails half-way leaves the schema as it was, on SQLite too."""
    copytree(resource("migrations"), tmp_path / "migrations")
    (tmp_path / "alembic.ini").write_text(resource("alembic.ini").read_text())
    (tmp_path / "migrations/versions/9999_broken.py").write_text(
        "from alembic import op\n"
        "revision, down_revision, branch_labels, depends_on = '9999', 'NEWEST', None, None\n"
        "def upgrade():\n"
        "    op.drop_table('hsms')\n"
        "    op.execute('SELECT x FROM nowhere')\n".replace("NEWEST", REVISIONS[-1])
    )
    upgrade(url)
    before = schema_of(url)
    monkeypatch.setattr(migrations, "REVISIONS", (*REVISIONS, "9999"))
    monkeypatch.setattr(migrations, "resource", tmp_path.joinpath)
    with pytest.raises(Exception, match="nowhere"):
        upgrade(url)
    assert schema_of(url) == before
    assert current_state(url) is SchemaState.OUTDATED


def test_a_second_start_does_not_import_alembic(url: str) -> None:
    """Nor the ORM, nor asyncio's event loop: only what the question takes."""
    upgrade(url)
    program = (
        "import sys; from hsmstore.storage.migrations import upgrade; upgrade(sys.argv[1]);"
        " print({'alembic', 'mako', 'sqlalchemy.orm'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_alembic_works_by_hand(url: str) -> None:
    """`alembic -x url=… upgrade head`, typed in the checkout, makes the same database."""
    subprocess.run(
        [sys.executable, "-m", "alembic", "-x", f"url={url}", "upgrade", "head"],
        cwd=resource("alembic.ini").parent,
        capture_output=True,
        check=True,
    )
    assert current_state(url) is SchemaState.CURRENT


def test_alembic_prints_sql_for_other_databases() -> None:
    """`alembic upgrade head --sql` writes PostgreSQL's statements without asking any database."""
    result = subprocess.run(
        [sys.executable, "-m", "alembic", "-x", "url=sqlite:///unused", "upgrade", "head", "--sql"],
        cwd=resource("alembic.ini").parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "CREATE TABLE key_stores" in result.stdout


def test_an_installed_wheel_finds_its_migrations(url: str, alembic: Config, tmp_path: Path) -> None:
    """Away from the checkout, migrations come from the package's own `_data`."""
    command.upgrade(alembic, REVISIONS[0])
    site = tmp_path / "site-packages"
    copytree(Path(engine.__file__).parents[1], site / "hsmstore")
    copytree(resource("migrations"), site / "hsmstore/_data/migrations")
    (site / "hsmstore/_data/alembic.ini").write_text(resource("alembic.ini").read_text())
    (site / "migrations").mkdir()  # somebody else's
    program = (
        f"import sys; sys.path.insert(0, {str(site)!r});"
        " from hsmstore.resources import resource; print(resource('migrations'));"
        " from hsmstore.storage.migrations import upgrade; upgrade(sys.argv[1])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, url], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == str(site / "hsmstore/_data/migrations")
    assert current_state(url) is SchemaState.CURRENT


# What cannot be used.


def test_a_newer_version_is_refused(filled: str) -> None:
    """A schema of the future is left alone, and the reason names both."""
    execute(filled, "UPDATE alembic_version SET version_num = '9999'")
    found = refusal(filled)
    assert "newer hsmstore" in found.reason
    assert "9999" in found.reason
    assert REVISIONS[-1] in found.reason


def test_another_programs_database_is_refused(url: str) -> None:
    """Tables without a version are somebody else's."""
    execute(url, "CREATE TABLE somebody (id INTEGER)")
    assert "another program" in refusal(url).reason
    assert list(schema_of(url)) == ["somebody"]


@pytest.mark.parametrize(
    "wrong", ["", "registry.sqlite3", "mysql://host/name", "nosql://x", "sqlite+nodriver:///x"]
)
def test_an_unknown_url_is_refused(wrong: str) -> None:
    """What is no URL, or of no database that is supported, is answered with the forms that are."""
    assert "sqlite:///path" in refusal(wrong).mend
