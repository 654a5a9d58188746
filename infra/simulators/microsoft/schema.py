"""Decides what the simulator keeps: accounts, grants, folders, messages, and what left a folder."""

SCHEMA = """
create table if not exists users (
    pk integer primary key, address text not null unique collate nocase, oid text not null unique,
    tid text not null, data text not null, seq integer not null default 0);
create table if not exists clients (id text primary key, data text not null);
create table if not exists codes (
    digest text primary key, data text not null, expires real not null, redeemed integer not null);
create table if not exists tokens (
    digest text primary key, kind text not null, client text not null, user integer not null,
    scopes text not null, made real not null, expires real not null, used real not null,
    ended integer not null default 0);
create index if not exists tokens_of on tokens (user, client);
create table if not exists consents (
    client text not null, user integer not null, scopes text not null, primary key (client, user));
create table if not exists folders (
    pk integer primary key, user integer not null, name text not null, parent integer,
    known text not null, hidden integer not null, kind text not null, query text not null,
    born_seq integer not null, changed_seq integer not null);
create index if not exists folders_of on folders (user, parent);
create table if not exists lost_folders (
    user integer not null, seq integer not null, folder integer not null);
create table if not exists messages (
    pk integer primary key autoincrement, user integer not null, folder integer not null,
    item integer not null, entered_seq integer not null, changed_seq integer not null,
    received integer not null, sent integer not null, created integer not null,
    modified integer not null, is_read integer not null, is_draft integer not null,
    importance text not null, flag text not null, categories text not null, focus text not null,
    conversation blob not null, thread_index blob not null, internet_id text not null,
    subject text not null, has_attachments integer not null, size integer not null,
    facts text not null, html text, plain text, calendar text);
create index if not exists messages_by_date on messages (folder, received, item);
create index if not exists messages_by_change on messages (folder, changed_seq);
create unique index if not exists messages_by_item on messages (user, item);
create index if not exists messages_by_internet_id on messages (user, internet_id);
create index if not exists messages_by_conversation on messages (user, conversation);
create table if not exists removals (
    user integer not null, folder integer not null, seq integer not null, item integer not null,
    message integer not null, entered_seq integer not null);
create index if not exists removals_of on removals (folder, seq);
create table if not exists attachments (
    pk integer primary key, message integer not null, guid blob not null, kind text not null,
    name text not null, content_type text not null, is_inline integer not null,
    content_id text not null, size integer not null, modified integer not null,
    content blob not null);
create index if not exists attachments_of on attachments (message);
create table if not exists given_mime (
    message integer primary key, changed_seq integer not null, raw blob not null);
create table if not exists accepted (
    message integer primary key, user integer not null, due real not null, keep integer not null,
    renamed integer not null);
create table if not exists uploads (
    session text primary key, user integer not null, message integer not null, item text not null,
    held blob not null, expires real not null);
create table if not exists subscriptions (
    id text primary key, user integer not null, client text not null, data text not null);
"""
