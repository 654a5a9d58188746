"""The function `maintain_mailboxes`."""
