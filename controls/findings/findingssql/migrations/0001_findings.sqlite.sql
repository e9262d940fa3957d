CREATE TABLE controls_findings (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	id      TEXT    NOT NULL CHECK (id <> ''),
	control TEXT    NOT NULL,
	subject TEXT    NOT NULL,
	state   TEXT    NOT NULL,
	version INTEGER NOT NULL CHECK (version > 0),
	body    TEXT    NOT NULL,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX controls_findings_open ON controls_findings (tenant, control, subject) WHERE state <> 'closed';
