CREATE TABLE privacy_record (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	kind    TEXT    NOT NULL CHECK (kind <> ''),
	id      TEXT    NOT NULL CHECK (id <> '') COLLATE "C",
	version INTEGER NOT NULL CHECK (version > 0),
	subject TEXT    NOT NULL,
	open    INTEGER NOT NULL,
	data    BYTEA   NOT NULL,
	mac     BYTEA   NOT NULL,
	PRIMARY KEY (tenant, kind, id, version)
);
CREATE INDEX privacy_record_subject ON privacy_record (tenant, kind, subject, id);
ALTER TABLE privacy_record ENABLE ROW LEVEL SECURITY;
ALTER TABLE privacy_record FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON privacy_record
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
