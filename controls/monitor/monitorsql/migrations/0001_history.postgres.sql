CREATE TABLE controls_history (
	tenant  TEXT   NOT NULL CHECK (tenant <> ''),
	seq     BIGINT NOT NULL CHECK (seq > 0),
	at      BIGINT NOT NULL,
	control TEXT   NOT NULL,
	body    TEXT   NOT NULL,
	PRIMARY KEY (tenant, seq)
);
CREATE INDEX controls_history_at ON controls_history (tenant, at);
CREATE INDEX controls_history_control ON controls_history (tenant, control, seq);
ALTER TABLE controls_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE controls_history FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON controls_history
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
