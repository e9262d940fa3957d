CREATE TABLE authn_account (
	tenant      TEXT    NOT NULL CHECK (tenant <> ''),
	id          TEXT    NOT NULL CHECK (id <> ''),
	name        TEXT    NOT NULL CHECK (name <> ''),
	groups_json TEXT    NOT NULL,
	password    TEXT    NOT NULL,
	must_change INTEGER NOT NULL,
	disabled    INTEGER NOT NULL,
	PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX authn_account_name ON authn_account (tenant, name);
CREATE TABLE authn_session (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	key     BYTEA    NOT NULL,
	account TEXT    NOT NULL CHECK (account <> ''),
	id      TEXT    NOT NULL,
	rev     BIGINT NOT NULL,
	expires BIGINT NOT NULL,
	data    BYTEA    NOT NULL,
	PRIMARY KEY (tenant, key)
);
CREATE INDEX authn_session_account ON authn_session (tenant, account);
CREATE INDEX authn_session_expires ON authn_session (tenant, expires);
CREATE TABLE authn_session_epoch (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	account TEXT    NOT NULL CHECK (account <> ''),
	epoch   BIGINT NOT NULL,
	PRIMARY KEY (tenant, account)
);
CREATE TABLE authn_totp (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	account TEXT    NOT NULL CHECK (account <> ''),
	active  INTEGER NOT NULL,
	id      TEXT    NOT NULL,
	seed    BYTEA    NOT NULL,
	step    BIGINT NOT NULL,
	created BIGINT NOT NULL,
	PRIMARY KEY (tenant, account, active)
);
CREATE TABLE authn_throttle (
	tenant   TEXT    NOT NULL CHECK (tenant <> ''),
	key      TEXT    NOT NULL CHECK (key <> ''),
	rev      BIGINT NOT NULL,
	failures INTEGER NOT NULL,
	last     BIGINT NOT NULL,
	until    BIGINT NOT NULL,
	reason   TEXT    NOT NULL,
	disabled INTEGER NOT NULL,
	keep     INTEGER NOT NULL,
	PRIMARY KEY (tenant, key)
);
ALTER TABLE authn_account ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_account FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_account
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
ALTER TABLE authn_session ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_session FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_session
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
ALTER TABLE authn_session_epoch ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_session_epoch FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_session_epoch
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
ALTER TABLE authn_totp ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_totp FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_totp
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
ALTER TABLE authn_throttle ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_throttle FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_throttle
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
