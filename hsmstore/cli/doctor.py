"""`hsmstore doctor`: whether this machine can run the simulator, and what to do where it cannot."""

from dataclasses import asdict
from typing import Annotated

import typer

from hsmstore.cli import screen
from hsmstore.cli.exits import ExitCode
from hsmstore.cli.options import AsJson, takes_settings
from hsmstore.domain.findings import Finding
from hsmstore.settings import Loaded

Fix = Annotated[
    bool, typer.Option("--fix", help="Mend what can be mended without losing anything; no server may run.")
]


@takes_settings(
    "data_dir", "database_url", "pkcs11_profile", "pkcs11_module", "attestation_root", "principals"
)
def doctor(*, loaded: Loaded, fix: Fix = False, as_json: AsJson = False) -> None:
    """Find out what keeps hsmstore from running here.

    It looks at the data directory, the registry, the attestation roots, the principals, the PKCS#11 module
    and the tokens, and tells the mend of what is wrong. Of settings that let in more than is needed it warns,
    with an exclamation mark.
    """
    from hsmstore.bootstrap.examining import examine  # noqa: PLC0415 - loads what `--help` need not

    findings = examine(loaded.settings, fix=fix)
    if as_json:
        screen.document({"Findings": [{**asdict(finding), "ok": finding.ok} for finding in findings]})
    else:
        screen.table(
            ["", "LOOKED AT", "FOUND", "MEND"],
            [[_sign(f), f.subject, f.detail, f.mend or ""] for f in findings],
        )
    if not all(finding.ok for finding in findings):
        raise typer.Exit(ExitCode.UNFIT)


def _sign(finding: Finding) -> str:
    if finding.mend is None:
        return "✓"
    return "!" if finding.warns else "✗"
