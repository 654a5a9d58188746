"""IMAP and SMTP: any mail server that takes a username and a password."""
