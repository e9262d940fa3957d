CREATE TABLE authn_passkey (
	tenant  TEXT NOT NULL CHECK (tenant <> ''),
	id      TEXT NOT NULL CHECK (id <> ''),
	account TEXT NOT NULL CHECK (account <> ''),
	rev     INTEGER NOT NULL,
	data    BLOB NOT NULL,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX authn_passkey_account ON authn_passkey (tenant, account);
CREATE TABLE authn_ceremony (
	tenant  TEXT NOT NULL CHECK (tenant <> ''),
	id      TEXT NOT NULL CHECK (id <> ''),
	expires INTEGER NOT NULL,
	data    BLOB NOT NULL,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX authn_ceremony_expires ON authn_ceremony (tenant, expires);
