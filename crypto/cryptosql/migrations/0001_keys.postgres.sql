CREATE TABLE crypto_keys (
	tenant    TEXT    NOT NULL CHECK (tenant <> ''),
	id        BYTEA   NOT NULL CHECK (length(id) = 32),
	subject   TEXT    NOT NULL,
	use_for   TEXT    NOT NULL,
	version   INTEGER NOT NULL CHECK (version > 0),
	algorithm INTEGER NOT NULL,
	kek       TEXT    NOT NULL,
	wrapped   BYTEA   NOT NULL,
	created   BIGINT  NOT NULL,
	reserved  BIGINT  NOT NULL DEFAULT 0,
	destroyed BIGINT  NOT NULL DEFAULT 0,
	PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX crypto_keys_scope ON crypto_keys (tenant, subject, use_for, version);
CREATE TABLE crypto_tombstones (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	subject TEXT    NOT NULL,
	at      BIGINT  NOT NULL,
	allowed BIGINT  NOT NULL DEFAULT 0,
	PRIMARY KEY (tenant, subject)
);
ALTER TABLE crypto_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE crypto_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON crypto_keys
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
ALTER TABLE crypto_tombstones ENABLE ROW LEVEL SECURITY;
ALTER TABLE crypto_tombstones FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON crypto_tombstones
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
