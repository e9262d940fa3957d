CREATE TABLE authn_oidc_link (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	issuer  TEXT    NOT NULL,
	subject TEXT    NOT NULL CHECK (subject <> ''),
	account TEXT    NOT NULL CHECK (account <> ''),
	created INTEGER NOT NULL,
	PRIMARY KEY (tenant, issuer, subject)
);
CREATE INDEX authn_oidc_link_account ON authn_oidc_link (tenant, account);
