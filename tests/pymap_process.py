"""pymap in a process of its own: what `mail_servers.py` has a forked process run.

A module by itself, so that the process that is forked loads nothing but pymap.
"""

import sys
import warnings
from collections.abc import Sequence
from functools import partial

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pymap.config
    from pymap.main import main


def serve(arguments: Sequence[str]) -> None:
    """Run `pymap` with these arguments until it is killed."""
    warnings.simplefilter("ignore")
    # Half a million rounds for each login, a tenth of a second, to keep a password nobody has.
    pymap.config.BuiltinHash = partial(pymap.config.BuiltinHash, rounds=1)
    sys.argv = ["pymap", *arguments]
    main()
