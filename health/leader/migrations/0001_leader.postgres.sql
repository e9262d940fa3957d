CREATE TABLE health_leader (
	tenant   TEXT   NOT NULL CHECK (tenant <> ''),
	election TEXT   NOT NULL CHECK (election <> ''),
	holder   TEXT   NOT NULL,
	token    BIGINT NOT NULL,
	expires  BIGINT NOT NULL,
	PRIMARY KEY (tenant, election)
);
ALTER TABLE health_leader ENABLE ROW LEVEL SECURITY;
ALTER TABLE health_leader FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON health_leader
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
