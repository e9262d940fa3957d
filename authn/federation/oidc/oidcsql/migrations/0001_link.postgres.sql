CREATE TABLE authn_oidc_link (
	tenant  TEXT   NOT NULL CHECK (tenant <> ''),
	issuer  TEXT   NOT NULL,
	subject TEXT   NOT NULL CHECK (subject <> ''),
	account TEXT   NOT NULL CHECK (account <> ''),
	created BIGINT NOT NULL,
	PRIMARY KEY (tenant, issuer, subject)
);
CREATE INDEX authn_oidc_link_account ON authn_oidc_link (tenant, account);
ALTER TABLE authn_oidc_link ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_oidc_link FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_oidc_link
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
