CREATE TABLE health_slo (
	tenant    TEXT    NOT NULL CHECK (tenant <> ''),
	objective TEXT    NOT NULL,
	minute    INTEGER NOT NULL,
	source    TEXT    NOT NULL,
	outside   INTEGER NOT NULL,
	good      INTEGER NOT NULL CHECK (good >= 0),
	bad       INTEGER NOT NULL CHECK (bad >= 0),
	mac       BLOB    NOT NULL,
	PRIMARY KEY (tenant, objective, minute, source)
) WITHOUT ROWID;
