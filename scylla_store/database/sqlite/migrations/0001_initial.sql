-- Namespaces are JSON lists of labels. Times are microseconds.

-- Documents. version is the write time of head and body; they are gone at head_until (of a deleted head).
-- refresh and letter have write times of their own; without a value these are the times of their deletion.
-- body comes last: what stands behind it is found only by reading all of it.
CREATE TABLE items (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 0,
    head BLOB,
    head_until INTEGER,
    refresh BLOB,
    refresh_at INTEGER NOT NULL DEFAULT -1,
    refresh_until INTEGER,
    letter BLOB,
    letter_at INTEGER NOT NULL DEFAULT -1,
    body BLOB,
    UNIQUE (namespace, key)
);
CREATE INDEX items_until ON items (head_until) WHERE head_until IS NOT NULL;

-- The largest version ever stored, in one row.
CREATE TABLE versions (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    largest INTEGER NOT NULL
);
INSERT INTO versions VALUES (1, 0);

-- Intents that are not acknowledged.
CREATE TABLE outbox (
    due INTEGER NOT NULL,
    shard INTEGER NOT NULL,
    intent BLOB NOT NULL,
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    write_id BLOB NOT NULL,
    version INTEGER,
    kind TEXT NOT NULL,
    filed_at INTEGER NOT NULL,
    next_attempt INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    first_failed_at INTEGER,
    UNIQUE (due, shard, intent)
);
CREATE INDEX outbox_next_attempt ON outbox (next_attempt, due);

-- One letter an item, by the item's digest.
CREATE TABLE dead_letters (
    id TEXT PRIMARY KEY,
    letter TEXT NOT NULL,
    timestamp INTEGER NOT NULL
) WITHOUT ROWID;

-- Namespaces that have items, or had some a while ago; position sorts them (identity.sort_key).
CREATE TABLE namespaces (
    position BLOB PRIMARY KEY,
    namespace TEXT NOT NULL,
    seen_at INTEGER NOT NULL
) WITHOUT ROWID;

-- Small named values: summaries and positions.
CREATE TABLE state (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
