"""The function `sync_mailbox`."""
