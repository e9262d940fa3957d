CREATE TABLE controls_findings (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	id      TEXT    COLLATE "C" NOT NULL CHECK (id <> ''),
	control TEXT    NOT NULL,
	subject TEXT    NOT NULL,
	state   TEXT    NOT NULL,
	version INTEGER NOT NULL CHECK (version > 0),
	body    TEXT    NOT NULL,
	PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX controls_findings_open ON controls_findings (tenant, control, subject) WHERE state <> 'closed';
ALTER TABLE controls_findings ENABLE ROW LEVEL SECURITY;
ALTER TABLE controls_findings FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON controls_findings
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
