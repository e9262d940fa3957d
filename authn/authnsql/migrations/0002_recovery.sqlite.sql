CREATE TABLE authn_recovery (
	tenant  TEXT NOT NULL CHECK (tenant <> ''),
	account TEXT NOT NULL CHECK (account <> ''),
	hash    BLOB NOT NULL,
	PRIMARY KEY (tenant, account, hash)
) WITHOUT ROWID;
