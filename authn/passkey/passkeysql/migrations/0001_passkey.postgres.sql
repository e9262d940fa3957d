CREATE TABLE authn_passkey (
	tenant  TEXT NOT NULL CHECK (tenant <> ''),
	id      TEXT NOT NULL CHECK (id <> ''),
	account TEXT NOT NULL CHECK (account <> ''),
	rev     BIGINT NOT NULL,
	data    BYTEA NOT NULL,
	PRIMARY KEY (tenant, id)
);
CREATE INDEX authn_passkey_account ON authn_passkey (tenant, account);
CREATE TABLE authn_ceremony (
	tenant  TEXT NOT NULL CHECK (tenant <> ''),
	id      TEXT NOT NULL CHECK (id <> ''),
	expires BIGINT NOT NULL,
	data    BYTEA NOT NULL,
	PRIMARY KEY (tenant, id)
);
CREATE INDEX authn_ceremony_expires ON authn_ceremony (tenant, expires);
ALTER TABLE authn_passkey ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_passkey FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_passkey
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
ALTER TABLE authn_ceremony ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_ceremony FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_ceremony
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
