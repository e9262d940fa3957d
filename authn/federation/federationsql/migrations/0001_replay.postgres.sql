CREATE TABLE authn_federation_replay (
	tenant TEXT   NOT NULL CHECK (tenant <> ''),
	used   BYTEA  NOT NULL,
	until  BIGINT NOT NULL,
	PRIMARY KEY (tenant, used)
);
CREATE INDEX authn_federation_replay_until ON authn_federation_replay (tenant, until);
ALTER TABLE authn_federation_replay ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_federation_replay FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_federation_replay
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
