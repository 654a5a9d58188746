"""Which loopback port each part listens on, chosen once and remembered.

Addresses that change at each start would break what a user has open, and the token issuer's
address is written into the API's authorizer. A remembered port that something else has taken
meanwhile is replaced.
"""

import fcntl
import json
import os
import secrets
import socket
import tempfile
from pathlib import Path
from typing import IO

from infra.local.paths import Paths, read_json, write_whole

LOOPBACK = "127.0.0.1"

# Below where Linux (32768) and macOS (49152) take the local ends of outgoing connections:
# a port from there could be busy at the next start for no visible reason.
_FIRST, _LAST = 20_000, 32_000
_ATTEMPTS = 200
_held: dict[int, tuple[str, IO[str]]] = {}


def claim(paths: Paths, name: str, *, host: str = LOOPBACK) -> int:
    """Return a free port for the part called `name`: the remembered one when it is still free.

    Raises RuntimeError when no free port turns up.
    """
    remembered = read_json(paths.ports)
    taken = {port for part, port in remembered.items() if part != name}
    candidates = [remembered[name]] if name in remembered else []
    candidates += [_FIRST + secrets.randbelow(_LAST - _FIRST) for _ in range(_ATTEMPTS)]
    for port in candidates:
        if port not in taken and is_free(port, host=host) and hold(port, f"{paths.ports} {name}"):
            write_whole(paths.ports, json.dumps({**remembered, name: port}, indent=2))
            return int(port)
    raise RuntimeError(f"no free port for {name} on {host}")


def is_free(port: int, *, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connection is still fading is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def hold(port: int, owner: str) -> bool:
    """Keep `port` from other stacks as long as this process lives. False: one of them has it.

    Between looking whether a port is free and listening there, another stack that starts at the
    same moment would find it free as well.
    """
    if port in _held:
        return _held[port][0] == owner
    folder = Path(tempfile.gettempdir()) / f"mailroom-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = (folder / str(port)).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return False
    _held[port] = (owner, file)
    return True
