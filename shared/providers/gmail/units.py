"""Decides what each method costs of Gmail's quota, in units, whatever the format asked for.

Source: developers.google.com/workspace/gmail/api/reference/quota, the table of May 2026;
where that names no price (drafts.list, drafts.delete, settings.sendAs.list) the one before it.
"""

GET_PROFILE = 1
LABELS_LIST = 1
HISTORY_LIST = 2
MESSAGES_LIST = 5
MESSAGES_GET = 20
MESSAGES_MODIFY = 5
THREADS_GET = 40
DRAFTS_LIST = 5
DRAFTS_GET = 20
DRAFTS_CREATE = 10
DRAFTS_DELETE = 10
DRAFTS_SEND = 100
SEND_AS_LIST = 1
WATCH = 100
STOP = 50
