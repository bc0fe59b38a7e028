"""`python -m hsmstore` is the command line."""

import sys

from hsmstore.cli import main

sys.exit(main())
