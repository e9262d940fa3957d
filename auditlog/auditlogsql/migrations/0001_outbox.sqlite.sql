CREATE TABLE auditlog_outbox (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	entry    TEXT    NOT NULL UNIQUE,
	body     TEXT    NOT NULL,
	mac      TEXT    NOT NULL,
	claimed  INTEGER,
	rejected INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX auditlog_outbox_claimed ON auditlog_outbox (claimed) WHERE claimed IS NOT NULL;
CREATE TABLE auditlog_sequencer (
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	origin  TEXT    NOT NULL,
	token   INTEGER NOT NULL,
	expires INTEGER NOT NULL
);
