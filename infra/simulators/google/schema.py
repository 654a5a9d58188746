"""Decides what is kept of Google: accounts, OAuth clients and tokens, mailboxes with history.

Ids of messages and threads are kept as numbers and shown as 16 hex digits. A history id is kept
relative to the mailbox's own start, because Gmail's is an unsigned 64-bit number and SQLite's are
signed.
"""

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    address TEXT PRIMARY KEY, sub TEXT NOT NULL, name TEXT NOT NULL, options TEXT NOT NULL,
    history_start TEXT NOT NULL, history_last INTEGER NOT NULL DEFAULT 0,
    labels_last INTEGER NOT NULL DEFAULT 0, drafts_last INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS clients (
    client_id TEXT PRIMARY KEY, client_secret TEXT NOT NULL, redirect_uris TEXT NOT NULL,
    options TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS auth_requests (
    id TEXT PRIMARY KEY, request TEXT NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS codes (
    code TEXT PRIMARY KEY, address TEXT NOT NULL, client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL, scopes TEXT NOT NULL, challenge TEXT NOT NULL,
    nonce TEXT NOT NULL, is_offline INTEGER NOT NULL, expires_at REAL NOT NULL,
    is_used INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS consents (
    address TEXT NOT NULL, client_id TEXT NOT NULL, scopes TEXT NOT NULL,
    PRIMARY KEY (address, client_id));
CREATE TABLE IF NOT EXISTS refresh_tokens (
    number INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, address TEXT NOT NULL,
    client_id TEXT NOT NULL, scopes TEXT NOT NULL, used_at REAL NOT NULL, expires_at REAL,
    ended TEXT NOT NULL DEFAULT '', code TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS access_tokens (
    token TEXT PRIMARY KEY, address TEXT NOT NULL, client_id TEXT NOT NULL, scopes TEXT NOT NULL,
    expires_at REAL NOT NULL, refresh_token TEXT NOT NULL DEFAULT '',
    code TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS messages (
    address TEXT NOT NULL, id INTEGER NOT NULL, thread_id INTEGER NOT NULL,
    internal_date INTEGER NOT NULL, history_id INTEGER NOT NULL, raw BLOB NOT NULL,
    size INTEGER NOT NULL, internet_message_id TEXT NOT NULL, base_subject TEXT NOT NULL,
    snippet TEXT NOT NULL, subject_words TEXT NOT NULL, from_words TEXT NOT NULL,
    to_words TEXT NOT NULL, words TEXT NOT NULL, has_attachment INTEGER NOT NULL,
    PRIMARY KEY (address, id));
CREATE INDEX IF NOT EXISTS messages_by_date ON messages (address, internal_date DESC, id DESC);
CREATE INDEX IF NOT EXISTS messages_by_thread ON messages (address, thread_id);
CREATE INDEX IF NOT EXISTS messages_by_internet_id ON messages (address, internet_message_id);
CREATE TABLE IF NOT EXISTS message_labels (
    address TEXT NOT NULL, message_id INTEGER NOT NULL, label TEXT NOT NULL,
    PRIMARY KEY (address, message_id, label)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS labels_of_messages ON message_labels (address, label, message_id);
CREATE TABLE IF NOT EXISTS labels (
    address TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, settings TEXT NOT NULL,
    PRIMARY KEY (address, id));
CREATE TABLE IF NOT EXISTS drafts (
    address TEXT NOT NULL, id TEXT NOT NULL, message_id INTEGER NOT NULL,
    PRIMARY KEY (address, id));
CREATE TABLE IF NOT EXISTS history (
    address TEXT NOT NULL, id INTEGER NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL,
    message_id INTEGER NOT NULL, thread_id INTEGER NOT NULL, message_labels TEXT NOT NULL,
    labels TEXT NOT NULL, PRIMARY KEY (address, id));
CREATE TABLE IF NOT EXISTS watches (
    address TEXT NOT NULL, project TEXT NOT NULL, topic TEXT NOT NULL, labels TEXT NOT NULL,
    behavior TEXT NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (address, project));
CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY, data TEXT NOT NULL);
"""
