"""The function `disconnect_mailbox`."""
