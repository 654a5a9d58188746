"""Decides what each method costs of Gmail's quota, in units, whatever the format asked for.

Source: developers.google.com/workspace/gmail/api/reference/quota, the table of May 2026.
"""

GET_PROFILE = 1
LABELS_LIST = 1
HISTORY_LIST = 2
MESSAGES_LIST = 5
MESSAGES_GET = 20
