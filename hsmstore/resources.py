"""The files that travel with the package but are not Python of the package: migrations, PKCS#11 profiles."""

from pathlib import Path
from typing import Final

from hsmstore.domain.errors import EnvironmentUnfit

_PACKAGE: Final = Path(__file__).resolve().parent

_ROOTS: Final = (_PACKAGE / "_data", _PACKAGE.parent)
# A wheel carries them in `_data`, a checkout beside the package. The wheel's place comes first, because
# what lies beside an installed package is `site-packages`, where a `migrations` may be anybody's.


def resource(name: str) -> Path:
    """Return where the file or directory `name` lies, in a checkout or in an installed wheel.

    Raises:
        EnvironmentUnfit: the installation lacks it.

    """
    for root in _ROOTS:
        path = root / name
        if path.exists():
            return path
    raise EnvironmentUnfit(f"this installation of hsmstore lacks {name}", "install hsmstore again")
