CREATE TABLE authn_account (
	tenant      TEXT    NOT NULL CHECK (tenant <> ''),
	id          TEXT    NOT NULL CHECK (id <> ''),
	name        TEXT    NOT NULL CHECK (name <> ''),
	groups_json TEXT    NOT NULL,
	password    TEXT    NOT NULL,
	must_change INTEGER NOT NULL,
	disabled    INTEGER NOT NULL,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX authn_account_name ON authn_account (tenant, name);
CREATE TABLE authn_session (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	key     BLOB    NOT NULL,
	account TEXT    NOT NULL CHECK (account <> ''),
	id      TEXT    NOT NULL,
	rev     INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	data    BLOB    NOT NULL,
	PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE INDEX authn_session_account ON authn_session (tenant, account);
CREATE INDEX authn_session_expires ON authn_session (tenant, expires);
CREATE TABLE authn_session_epoch (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	account TEXT    NOT NULL CHECK (account <> ''),
	epoch   INTEGER NOT NULL,
	PRIMARY KEY (tenant, account)
) WITHOUT ROWID;
CREATE TABLE authn_totp (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	account TEXT    NOT NULL CHECK (account <> ''),
	active  INTEGER NOT NULL,
	id      TEXT    NOT NULL,
	seed    BLOB    NOT NULL,
	step    INTEGER NOT NULL,
	created INTEGER NOT NULL,
	PRIMARY KEY (tenant, account, active)
) WITHOUT ROWID;
CREATE TABLE authn_throttle (
	tenant   TEXT    NOT NULL CHECK (tenant <> ''),
	key      TEXT    NOT NULL CHECK (key <> ''),
	rev      INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	last     INTEGER NOT NULL,
	until    INTEGER NOT NULL,
	reason   TEXT    NOT NULL,
	disabled INTEGER NOT NULL,
	keep     INTEGER NOT NULL,
	PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
