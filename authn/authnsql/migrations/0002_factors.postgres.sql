CREATE TABLE authn_recovery (
	tenant  TEXT NOT NULL CHECK (tenant <> ''),
	account TEXT NOT NULL CHECK (account <> ''),
	hash    BYTEA NOT NULL,
	PRIMARY KEY (tenant, account, hash)
);
CREATE TABLE authn_otp (
	tenant   TEXT NOT NULL CHECK (tenant <> ''),
	key      TEXT NOT NULL CHECK (key <> ''),
	rev      BIGINT NOT NULL,
	hash     BYTEA NOT NULL,
	expires  BIGINT NOT NULL,
	started  BIGINT NOT NULL,
	sent     INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	in_a_row INTEGER NOT NULL,
	PRIMARY KEY (tenant, key)
);
CREATE TABLE authn_apikey (
	tenant  TEXT NOT NULL CHECK (tenant <> ''),
	id      TEXT NOT NULL CHECK (id <> ''),
	owner   TEXT NOT NULL CHECK (owner <> ''),
	expires BIGINT NOT NULL,
	used    BIGINT NOT NULL,
	data    BYTEA NOT NULL,
	PRIMARY KEY (tenant, id)
);
CREATE INDEX authn_apikey_owner ON authn_apikey (tenant, owner);
ALTER TABLE authn_recovery ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_recovery FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_recovery
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
ALTER TABLE authn_otp ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_otp FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_otp
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
ALTER TABLE authn_apikey ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_apikey FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_apikey
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
