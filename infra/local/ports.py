"""Which loopback port each part listens on, chosen once and remembered.

Addresses that change at each start would break what a user has open, and the token issuer's
address is written into the API's authorizer. A remembered port that something else has taken
meanwhile is replaced.
"""

import json
import secrets
import socket

from infra.local.paths import Paths, read_json, write_whole

LOOPBACK = "127.0.0.1"

# Below where Linux (32768) and macOS (49152) take the local ends of outgoing connections:
# a port from there could be busy at the next start for no visible reason.
_FIRST, _LAST = 20_000, 32_000
_ATTEMPTS = 200


def claim(paths: Paths, name: str, *, host: str = LOOPBACK) -> int:
    """Return a free port for the part called `name`: the remembered one when it is still free.

    Raises RuntimeError when no free port turns up.
    """
    remembered = read_json(paths.ports)
    taken = {port for part, port in remembered.items() if part != name}
    candidates = [remembered[name]] if name in remembered else []
    candidates += [_FIRST + secrets.randbelow(_LAST - _FIRST) for _ in range(_ATTEMPTS)]
    for port in candidates:
        if port not in taken and is_free(port, host=host):
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
