"""`hsmstore attest`: attestation documents of AWS Nitro, made, shown and verified; no simulator is asked.

The library that reads certificates is loaded inside the commands: no other command needs it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hsmstore.cli import screen
from hsmstore.cli.clock import wall_time
from hsmstore.cli.exits import ExitCode
from hsmstore.cli.invocation import Invocation
from hsmstore.cli.options import AsJson
from hsmstore.cli.views import ClockView
from hsmstore.domain.attestation import MEANINGS, AttestationRefused, Attested, Check, Family
from hsmstore.settings import BadSetting

if TYPE_CHECKING:
    from hsmstore.attestation.tree import Node

app: Final = typer.Typer(help="Make, show and verify attestation documents of AWS Nitro.")

SIMULATOR: Final = "simulator"
HASH_SIZES: Final = (32, 48, 64)
DEFAULT_REGION: Final = "us-east-1"

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the test PKI.")]
Document = Annotated[Path, typer.Argument(metavar="DOC", help="The document's file.")]
At = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="When: 2026-11-23T12:00:00Z, or `simulator` for what its clock shows.",
        show_default="now",
    ),
]


@app.command("init")
def init(directory: Directory, *, as_json: AsJson = False) -> None:
    """Make a test PKI, whose root a server can trust."""
    from hsmstore.attestation.pki import ROOT_FILE, load_root, new_root, save_root  # noqa: PLC0415 - see above

    there = (directory / ROOT_FILE).exists()
    if not there:
        save_root(directory, new_root())
    root = load_root(directory)
    if as_json:
        screen.document(
            {"Root": str(directory / ROOT_FILE), "Fingerprint": root.fingerprint, "New": not there}
        )
        return
    screen.line(f"{directory / ROOT_FILE}")
    if there:
        screen.note("it was there already, and stays as it is")
    else:
        screen.note(f"trust it: hsmstore serve --attestation-root {directory / ROOT_FILE}")


@app.command("mint")
def mint(  # noqa: PLR0913 - one parameter for each thing that a document says
    context: typer.Context,
    *,
    pki: Annotated[Path, typer.Option(metavar="DIR", help="The test PKI that `attest init` made.")],
    out: Annotated[Path, typer.Option(metavar="DOC", help="File to write the document to.")],
    public_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Public key (SPKI), DER or PEM; without it, null.")
    ] = None,
    pcr: Annotated[
        list[str] | None,
        typer.Option(metavar="INDEX=HEX", help="A PCR; repeatable. Those not named are zero."),
    ] = None,
    role_arn: Annotated[str | None, typer.Option(metavar="ARN", help="Measure this role into PCR3.")] = None,
    instance_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Parent instance, measured into PCR4; else random.")
    ] = None,
    nonce: Annotated[str | None, typer.Option(metavar="HEX", help="The nonce; without it, null.")] = None,
    user_data: Annotated[str | None, typer.Option(metavar="HEX", help="The user data; else null.")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Debug mode: PCR0 to PCR2 are zero.")] = False,
    nitrotpm: Annotated[bool, typer.Option("--nitrotpm", help="Of a NitroTPM, not an enclave.")] = False,
    tagged: Annotated[bool, typer.Option("--tagged", help="Put COSE's tag 18 in front.")] = False,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Make a document, valid for three hours."""
    from hsmstore.attestation.minting import Claims, Module  # noqa: PLC0415 - see above
    from hsmstore.attestation.pki import load_root  # noqa: PLC0415 - see above

    invocation: Invocation = context.obj
    claims = Claims(
        public_key=None if public_key is None else _key_of(public_key),
        pcrs=dict(_pcr(text) for text in pcr or ()),
        role_arn=role_arn,
        nonce=_bytes("--nonce", nonce),
        user_data=_bytes("--user-data", user_data),
        debug=debug,
        family=Family.NITRO_TPM if nitrotpm else Family.ENCLAVE,
        tagged=tagged,
    )
    moment = _moment(at, invocation)
    region = invocation.simulator.region or DEFAULT_REGION
    module = Module(load_root(pki), moment, instance_id=instance_id, region=region)
    document = module.attest(claims, moment)
    out.write_bytes(document)
    if as_json:
        screen.document({"Document": str(out), "ModuleId": module.module_id, "Size": len(document)})
    else:
        screen.line(f"{out}: {len(document)} bytes, module {module.module_id}, {screen.moment(moment)}")


@app.command("inspect")
def inspect(document: Document, *, as_json: AsJson = False) -> None:
    """Show what stands in a document; nothing is verified."""
    from hsmstore.attestation.tree import lines, tree  # noqa: PLC0415 - see above

    nodes = tree(document.read_bytes())
    if as_json:
        screen.document([_plain(node) for node in nodes])
        return
    for line in lines(nodes):
        screen.line(screen.printable(line))


@app.command("verify")
def verify(
    context: typer.Context,
    document: Document,
    *,
    root: Annotated[
        list[str], typer.Option(metavar="FILE|aws", help="A root to trust: its file, or `aws`; repeatable.")
    ],
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """Verify a document as the server does, and say which check failed."""
    from hsmstore.attestation.roots import load_roots  # noqa: PLC0415 - see above
    from hsmstore.attestation.verifying import verify as verified  # noqa: PLC0415 - see above

    moment = _moment(at, context.obj)
    roots = load_roots(root)
    try:
        attested = verified(document.read_bytes(), roots, moment)
    except AttestationRefused as error:
        _show_refusal(error, as_json=as_json)
        raise typer.Exit(ExitCode.REFUSED) from error
    if as_json:
        screen.document({"Verified": True, "At": moment, "Root": attested.root, **_said(attested)})
        return
    screen.table(["", "CHECK", "SHOWS THAT"], _checks(None))
    screen.line(f"{attested.module_id}, vouched for by {attested.root}, is good at {screen.moment(moment)}")


def _show_refusal(error: AttestationRefused, *, as_json: bool) -> None:
    if as_json:
        screen.document({"Verified": False, "Check": error.check, "Detail": error.detail})
        return
    screen.table(["", "CHECK", "SHOWS THAT"], _checks(error.check))
    screen.note(str(error))


def _checks(failed: Check | None) -> Sequence[Sequence[str]]:
    """Return a row for each check that was made; `failed` was the last."""
    order = list(Check)
    made = order if failed is None else order[: order.index(failed) + 1]
    return [["✗" if check is failed else "✓", check, MEANINGS[check]] for check in made]


def _said(attested: Attested) -> dict[str, object]:
    return {
        "ModuleId": attested.module_id,
        "Family": attested.family,
        "Timestamp": attested.timestamp,
        "ConditionKeys": attested.condition_keys(),
    }


def _plain(node: "Node") -> dict[str, object]:
    below = {"Parts": [_plain(child) for child in node.children]} if node.children else {}
    return {"Name": node.label, "Value": node.value, **below}


def _moment(text: str | None, invocation: Invocation) -> float:
    """Return a time of day as seconds since the epoch.

    Raises:
        BadSetting: it is none.

    """
    if text is None:
        return wall_time()
    if text == SIMULATOR:
        simulator = invocation.simulator
        return simulator.read(simulator.clock.show(), ClockView).now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadSetting(f"--at: {text!r} is not a time such as 2026-11-23T12:00:00Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _pcr(text: str) -> tuple[int, bytes]:
    index, _, value = text.partition("=")
    try:
        number, pcr = int(index), bytes.fromhex(value)
    except ValueError:
        number, pcr = -1, b""
    if number not in range(32) or len(pcr) not in HASH_SIZES:
        raise BadSetting(f"--pcr: {text!r} is not INDEX=HEX, with an index from 0 to 31 and 96 digits")
    return number, pcr


def _bytes(option: str, text: str | None) -> bytes | None:
    try:
        return None if text is None else bytes.fromhex(text)
    except ValueError as error:
        raise BadSetting(f"{option}: {text!r} is not hexadecimal") from error


def _key_of(file: Path) -> bytes:
    """Return a public key as a document holds it. What is no PEM is taken as it is; tests want bad ones."""
    content = file.read_bytes()
    if b"-----BEGIN" not in content:
        return content
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - see above

    try:
        key = serialization.load_pem_public_key(content)
    except ValueError as error:
        raise BadSetting(f"--public-key: {file} holds no public key") from error
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
