CREATE TABLE privacy_consent (
	tenant  TEXT    NOT NULL CHECK (tenant <> ''),
	subject TEXT    NOT NULL CHECK (subject <> ''),
	seq     INTEGER NOT NULL CHECK (seq > 0),
	given   INTEGER NOT NULL,
	purpose TEXT    NOT NULL,
	notice  TEXT    NOT NULL,
	method  TEXT    NOT NULL,
	actor   TEXT    NOT NULL,
	at      INTEGER NOT NULL,
	mac     BLOB    NOT NULL,
	PRIMARY KEY (tenant, subject, seq)
) WITHOUT ROWID;
