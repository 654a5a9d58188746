"""The function `manage_mailboxes`."""
