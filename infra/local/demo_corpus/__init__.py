"""What the demo mailbox says: people, conversations, bulk mail, odd mail, attachments."""
