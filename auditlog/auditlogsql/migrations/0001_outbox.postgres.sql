CREATE TABLE auditlog_outbox (
	id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	entry    TEXT   NOT NULL UNIQUE,
	body     TEXT   NOT NULL,
	mac      TEXT   NOT NULL,
	claimed  BIGINT,
	rejected BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX auditlog_outbox_claimed ON auditlog_outbox (claimed) WHERE claimed IS NOT NULL;
ALTER TABLE auditlog_outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE auditlog_outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY any_tenant_adds ON auditlog_outbox FOR INSERT WITH CHECK (claimed IS NULL AND rejected = 0);
CREATE POLICY sequencer_reads ON auditlog_outbox FOR ALL
	USING (current_setting('surety.tenant', true) = '*sequencer*');
CREATE TABLE auditlog_sequencer (
	one     BIGINT PRIMARY KEY CHECK (one = 1),
	origin  TEXT   NOT NULL,
	token   BIGINT NOT NULL,
	expires BIGINT NOT NULL
);
ALTER TABLE auditlog_sequencer ENABLE ROW LEVEL SECURITY;
ALTER TABLE auditlog_sequencer FORCE ROW LEVEL SECURITY;
CREATE POLICY sequencer_only ON auditlog_sequencer
	USING (current_setting('surety.tenant', true) = '*sequencer*');
