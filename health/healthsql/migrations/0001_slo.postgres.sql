CREATE TABLE health_slo (
	tenant    TEXT    NOT NULL CHECK (tenant <> ''),
	objective TEXT    NOT NULL,
	minute    BIGINT  NOT NULL,
	source    TEXT    NOT NULL,
	outside   INTEGER NOT NULL,
	good      BIGINT  NOT NULL CHECK (good >= 0),
	bad       BIGINT  NOT NULL CHECK (bad >= 0),
	mac       BYTEA   NOT NULL,
	PRIMARY KEY (tenant, objective, minute, source)
);
ALTER TABLE health_slo ENABLE ROW LEVEL SECURITY;
ALTER TABLE health_slo FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON health_slo
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
