CREATE TABLE authz_review (
	tenant    TEXT    NOT NULL CHECK (tenant <> ''),
	campaign  TEXT    NOT NULL CHECK (campaign <> ''),
	sequence  INTEGER NOT NULL CHECK (sequence > 0),
	data      BLOB    NOT NULL,
	mac       BLOB    NOT NULL,
	PRIMARY KEY (tenant, campaign, sequence)
) WITHOUT ROWID;
