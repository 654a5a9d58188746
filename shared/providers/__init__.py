"""The only code that knows a mail provider.

Each is a folder; `registry` names them, `network` opens their sockets.
"""
