CREATE TABLE privacy_record (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	kind    TEXT    NOT NULL CHECK (kind <> ''),
	id      TEXT    NOT NULL CHECK (id <> ''),
	version INTEGER NOT NULL CHECK (version > 0),
	subject TEXT    NOT NULL,
	open    INTEGER NOT NULL,
	data    BLOB    NOT NULL,
	mac     BLOB    NOT NULL,
	PRIMARY KEY (tenant, kind, id, version)
) WITHOUT ROWID;
CREATE INDEX privacy_record_subject ON privacy_record (tenant, kind, subject, id);
