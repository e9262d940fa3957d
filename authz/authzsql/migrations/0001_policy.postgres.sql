CREATE TABLE authz_entry (
	tenant    TEXT    NOT NULL CHECK (tenant <> ''),
	sequence  BIGINT NOT NULL CHECK (sequence > 0),
	op        BIGINT NOT NULL,
	kind      TEXT    NOT NULL,
	fields    TEXT    NOT NULL,
	starts    BIGINT NOT NULL,
	ends      BIGINT NOT NULL,
	made_by   TEXT    NOT NULL,
	approver  TEXT    NOT NULL,
	ticket    TEXT    NOT NULL,
	reason    TEXT    NOT NULL,
	made      BIGINT NOT NULL,
	mac       BYTEA   NOT NULL,
	PRIMARY KEY (tenant, sequence)
);
CREATE TABLE authz_head (
	tenant    TEXT    NOT NULL CHECK (tenant <> '') PRIMARY KEY,
	sequence  BIGINT NOT NULL,
	mac       BYTEA   NOT NULL
);
CREATE TABLE authz_duty (
	tenant    TEXT    NOT NULL CHECK (tenant <> ''),
	duty      TEXT    NOT NULL,
	object    TEXT    NOT NULL,
	subject   TEXT    NOT NULL,
	act       TEXT    NOT NULL,
	PRIMARY KEY (tenant, duty, object, subject)
);
ALTER TABLE authz_entry ENABLE ROW LEVEL SECURITY;
ALTER TABLE authz_entry FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authz_entry
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
ALTER TABLE authz_head ENABLE ROW LEVEL SECURITY;
ALTER TABLE authz_head FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authz_head
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
ALTER TABLE authz_duty ENABLE ROW LEVEL SECURITY;
ALTER TABLE authz_duty FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authz_duty
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
