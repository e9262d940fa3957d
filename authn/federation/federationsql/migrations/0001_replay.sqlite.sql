CREATE TABLE authn_federation_replay (
	tenant TEXT    NOT NULL CHECK (tenant <> ''),
	used   BLOB    NOT NULL,
	until  INTEGER NOT NULL,
	PRIMARY KEY (tenant, used)
) WITHOUT ROWID;
CREATE INDEX authn_federation_replay_until ON authn_federation_replay (tenant, until);
