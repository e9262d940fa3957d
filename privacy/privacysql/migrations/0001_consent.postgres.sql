CREATE TABLE privacy_consent (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	subject TEXT    NOT NULL CHECK (subject <> ''),
	seq     INTEGER NOT NULL CHECK (seq > 0),
	given   INTEGER NOT NULL,
	purpose TEXT    NOT NULL,
	notice  TEXT    NOT NULL,
	method  TEXT    NOT NULL,
	actor   TEXT    NOT NULL,
	at      BIGINT  NOT NULL,
	mac     BYTEA   NOT NULL,
	PRIMARY KEY (tenant, subject, seq)
);
ALTER TABLE privacy_consent ENABLE ROW LEVEL SECURITY;
ALTER TABLE privacy_consent FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON privacy_consent
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
