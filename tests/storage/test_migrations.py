"""A database becomes ours, stays ours, and is refused unharmed where it cannot be."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copytree
from typing import Final

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.resources import resource
from hsmstore.storage import engine, migrations
from hsmstore.storage.engine import open_engine
from hsmstore.storage.migrations import REVISIONS, SchemaState, current_state, upgrade
from hsmstore.storage.models import metadata
from hsmstore.storage.purpose import Purpose
from hsmstore.storage.registry import SqlRegistry
from tests.storage.entities import SCOPE, store

# A column that was added stands behind the one before it, on the same line.
_PARTS: Final = re.compile(r"\n|, (?=[a-z_]+ [A-Z])")


@pytest.fixture
def path(url: str) -> Path:
    """Return the file behind the URL."""
    return Path(url.removeprefix("sqlite:///"))


@pytest.fixture
def alembic(url: str) -> Config:
    """Return what `alembic -x url=…` works with."""
    config = Config(resource("alembic.ini"))
    config.cmd_opts = type("Options", (), {"x": [f"url={url}"]})()
    return config


def statements(path: Path) -> dict[str, list[str]]:
    """Return each table's and index's parts of its CREATE, in a fixed order; Alembic's table apart."""
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {
        name: sorted(part.strip(" ,\t") for part in _PARTS.split(sql))
        for name, sql in rows
        if name != "alembic_version"
    }


# From one schema to the next.


def test_models_and_migrations_do_not_drift(url: str, alembic: Config) -> None:
    """Alembic finds nothing to add to the migrated schema."""
    upgrade(url)
    command.check(alembic)


def test_migrations_make_what_the_models_say(url: str, path: Path, tmp_path: Path) -> None:
    """Statement by statement, CHECK constraints included, which Alembic does not compare."""
    upgrade(url)
    made = open_engine(f"sqlite:///{tmp_path}/models.sqlite3", Purpose.MIGRATE)
    metadata.create_all(made)
    made.dispose()
    assert statements(path) == statements(tmp_path / "models.sqlite3")


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


def test_down_and_up_again(url: str, path: Path, alembic: Config) -> None:
    """The way back ends in nothing, and the way forth in the same schema as before."""
    upgrade(url)
    wanted = statements(path)
    command.downgrade(alembic, "base")
    assert statements(path) == {}
    assert current_state(url) is SchemaState.EMPTY
    command.upgrade(alembic, "head")
    assert statements(path) == wanted


def test_upgrade_keeps_what_is_there(url: str) -> None:
    """A second upgrade changes nothing and loses nothing."""
    upgrade(url)
    with closing(SqlRegistry(url)) as registry, registry.writing() as unit:
        unit.add_key_store(store())
    upgrade(url)
    with closing(SqlRegistry(url)) as registry, registry.reading() as unit:
        assert unit.key_stores(SCOPE) == [store()]


def test_a_failed_migration_changes_nothing(
    url: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    before = statements(path)
    monkeypatch.setattr(migrations, "REVISIONS", (*REVISIONS, "9999"))
    monkeypatch.setattr(migrations, "resource", tmp_path.joinpath)
    with pytest.raises(Exception, match="no such table: nowhere"):
        upgrade(url)
    assert statements(path) == before
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


def test_an_installed_wheel_finds_its_migrations(url: str, tmp_path: Path) -> None:
    """Away from the checkout, migrations come from the package's own `_data`."""
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


@pytest.fixture
def filled(url: str) -> Iterator[str]:
    """Return the URL of a current database that holds a store."""
    upgrade(url)
    registry = SqlRegistry(url)
    with registry.writing() as unit:
        unit.add_key_store(store())
    registry.close()
    yield url
    with closing(SqlRegistry(url)) as registry, registry.reading() as unit:
        assert unit.key_stores(SCOPE) == [store()], "a refusal lost something"


def refusal(url: str) -> EnvironmentUnfit:
    """Return the reason why neither a look nor an upgrade is possible."""
    with pytest.raises(EnvironmentUnfit) as looked:
        current_state(url)
    with pytest.raises(EnvironmentUnfit) as upgraded:
        upgrade(url)
    assert (looked.value.reason, looked.value.mend) == (upgraded.value.reason, upgraded.value.mend)
    assert "\n" not in str(looked.value)
    return looked.value


def test_a_newer_version_is_refused(filled: str, path: Path) -> None:
    """A schema of the future is left alone, and the reason names both."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    found = refusal(filled)
    assert "newer hsmstore" in found.reason
    assert "9999" in found.reason
    assert REVISIONS[-1] in found.reason


def test_another_programs_database_is_refused(url: str, path: Path) -> None:
    """Tables without a version are somebody else's."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE somebody (id)")
    assert "another program" in refusal(url).reason
    assert list(statements(path)) == ["somebody"]


def test_a_file_that_is_no_database_is_refused_and_kept(url: str, path: Path) -> None:
    """Whatever the file is, it is not overwritten."""
    path.write_bytes(b"certainly not a database" * 100)
    assert "is not a SQLite database" in refusal(url).reason
    assert path.read_bytes() == b"certainly not a database" * 100


@pytest.mark.parametrize("page", range(2, 8))
def test_a_damaged_page_is_found(url: str, path: Path, page: int) -> None:
    """Damage is met at the start, wherever it is, and not in the middle of a request."""
    upgrade(url)
    size = 4096
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    found = refusal(url)
    assert "is damaged" in found.reason
    assert ".recover" in found.mend


def test_a_truncated_file_is_refused(url: str, path: Path) -> None:
    """A file that has lost its end is damaged, not smaller."""
    upgrade(url)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    assert "is damaged" in refusal(url).reason


def test_a_locked_database_is_refused_after_a_while(
    filled: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that another program keeps is reported, with the way to find that program."""
    monkeypatch.setattr(engine, "LOCK_PATIENCE", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as intruder:
        intruder.execute("BEGIN IMMEDIATE")
        found = refusal(filled)
    assert "locked by another program" in found.reason
    assert found.mend.endswith(f"fuser {path} tells which")


@pytest.mark.usefixtures("filled")
def test_a_read_only_database_is_refused(path: Path) -> None:
    """Found at the start, not at the first write; `mode=ro` binds root too, as a read-only disk does."""
    assert "is read-only" in refusal(f"sqlite:///file:{path}?mode=ro&uri=true").reason


def test_a_directory_in_its_place_is_refused(url: str, path: Path) -> None:
    """A directory is called one."""
    path.mkdir()
    assert refusal(url).reason == f"the database {path} is a directory"


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """The directory is not made by the way: its name may be a slip of the pen."""
    found = refusal(f"sqlite:///{tmp_path}/nowhere/registry.sqlite3")
    assert found.reason == f"the database's directory {tmp_path}/nowhere does not exist"


def test_a_dangling_link_is_refused(url: str, path: Path) -> None:
    """What can't be opened for any other reason is named at least."""
    path.symlink_to(path)
    assert refusal(url).reason == f"the database {path} cannot be opened"


@pytest.mark.parametrize(
    "wrong", ["", "registry.sqlite3", "mysql://host/name", "nosql://x", "sqlite+nodriver:///x"]
)
def test_an_unknown_url_is_refused(wrong: str) -> None:
    """What is no URL, or of no database that is supported, is answered with the forms that are."""
    assert "sqlite:///path" in refusal(wrong).mend


@pytest.mark.parametrize("memory", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(memory: str) -> None:
    """Each connection would have one of its own."""
    assert "in memory" in refusal(memory).reason
