CREATE TABLE crypto_keys (
	tenant    TEXT    NOT NULL CHECK (tenant <> ''),
	id        BLOB    NOT NULL CHECK (length(id) = 32),
	subject   TEXT    NOT NULL,
	use_for   TEXT    NOT NULL,
	version   INTEGER NOT NULL CHECK (version > 0),
	algorithm INTEGER NOT NULL,
	kek       TEXT    NOT NULL,
	wrapped   BLOB    NOT NULL,
	created   INTEGER NOT NULL,
	reserved  INTEGER NOT NULL DEFAULT 0,
	destroyed INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX crypto_keys_scope ON crypto_keys (tenant, subject, use_for, version);
CREATE TABLE crypto_tombstones (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	subject TEXT    NOT NULL,
	at      INTEGER NOT NULL,
	allowed INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (tenant, subject)
) WITHOUT ROWID;
