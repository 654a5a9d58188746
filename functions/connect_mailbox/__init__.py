"""The function `connect_mailbox`."""
