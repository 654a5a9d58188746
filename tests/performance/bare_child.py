"""Decides what the least is that Python must do to download a mailbox: imaplib, and all dropped.

    python -m tests.performance.bare_child PORT AUTHORITY

It fetches every message whole, 200 in a command, and looks at nothing. Prints one line of JSON.
"""

import argparse
import imaplib
import json
import ssl
import time
from pathlib import Path

from tests.performance.memory import peak_megabytes
from tests.performance.server import HOST, PASSWORD
from tests.performance.synthetic_mail import FOLDERS, OWNER

_AT_ONCE = 200


def main() -> None:
    """Download the mailbox and print what it took."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("port", type=int)
    arguments.add_argument("authority", type=Path)
    options = arguments.parse_args()
    context = ssl.create_default_context(cafile=str(options.authority))
    wall, cpu = time.perf_counter(), time.process_time()
    messages = 0
    with imaplib.IMAP4_SSL(HOST, options.port, ssl_context=context) as server:
        server.login(OWNER, PASSWORD)
        for folder in FOLDERS:
            server.select(folder, readonly=True)
            _, found = server.uid("SEARCH", "ALL")
            uids = found[0].split()
            for start in range(0, len(uids), _AT_ONCE):
                asked = b",".join(uids[start : start + _AT_ONCE]).decode()
                _, got = server.uid("FETCH", asked, "(UID BODY.PEEK[])")
                messages += sum(isinstance(one, tuple) for one in got)
    figures = {
        "messages": messages,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_megabytes": peak_megabytes(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
