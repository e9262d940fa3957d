CREATE TABLE authn_recovery (
	tenant  TEXT NOT NULL CHECK (tenant <> ''),
	account TEXT NOT NULL CHECK (account <> ''),
	hash    BYTEA NOT NULL,
	PRIMARY KEY (tenant, account, hash)
);
ALTER TABLE authn_recovery ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_recovery FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_recovery
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
