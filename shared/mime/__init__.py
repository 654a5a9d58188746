"""Bytes of strangers in, plain values out: mail as text, people and attachments.

A message has no deadline of its own, because nothing in one process can end a parser that holds
the interpreter. What bounds its time are the caps on what a parser gets to see (`caps`, and the
leash in `fallback`): what grows faster than its input is kept small, the rest is linear in at most
50 MB. Of the messages made to be slow (tests/unit/mime/bombs.py) the worst takes about a second,
and a test lets none take two. One that kills its reader all the same is given up by
`operations.ingest` after two strikes.
"""
