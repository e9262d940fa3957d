CREATE TABLE authz_review (
	tenant    TEXT    NOT NULL CHECK (tenant <> ''),
	campaign  TEXT    NOT NULL CHECK (campaign <> ''),
	sequence  BIGINT NOT NULL CHECK (sequence > 0),
	data      BYTEA   NOT NULL,
	mac       BYTEA   NOT NULL,
	PRIMARY KEY (tenant, campaign, sequence)
);
ALTER TABLE authz_review ENABLE ROW LEVEL SECURITY;
ALTER TABLE authz_review FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authz_review
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
