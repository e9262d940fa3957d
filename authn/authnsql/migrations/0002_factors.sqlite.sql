CREATE TABLE authn_recovery (
	tenant  TEXT NOT NULL CHECK (tenant <> ''),
	account TEXT NOT NULL CHECK (account <> ''),
	hash    BLOB NOT NULL,
	PRIMARY KEY (tenant, account, hash)
) WITHOUT ROWID;
CREATE TABLE authn_otp (
	tenant   TEXT NOT NULL CHECK (tenant <> ''),
	key      TEXT NOT NULL CHECK (key <> ''),
	rev      INTEGER NOT NULL,
	hash     BLOB NOT NULL,
	expires  INTEGER NOT NULL,
	started  INTEGER NOT NULL,
	sent     INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	in_a_row INTEGER NOT NULL,
	PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE TABLE authn_apikey (
	tenant  TEXT NOT NULL CHECK (tenant <> ''),
	id      TEXT NOT NULL CHECK (id <> ''),
	owner   TEXT NOT NULL CHECK (owner <> ''),
	expires INTEGER NOT NULL,
	used    INTEGER NOT NULL,
	data    BLOB NOT NULL,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX authn_apikey_owner ON authn_apikey (tenant, owner);
