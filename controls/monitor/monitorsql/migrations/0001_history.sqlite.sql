CREATE TABLE controls_history (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	seq     INTEGER NOT NULL CHECK (seq > 0),
	at      INTEGER NOT NULL,
	control TEXT    NOT NULL,
	body    TEXT    NOT NULL,
	PRIMARY KEY (tenant, seq)
) WITHOUT ROWID;
CREATE INDEX controls_history_at ON controls_history (tenant, at);
CREATE INDEX controls_history_control ON controls_history (tenant, control, seq);
