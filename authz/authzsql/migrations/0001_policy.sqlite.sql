CREATE TABLE authz_entry (
	tenant    TEXT    NOT NULL CHECK (tenant <> ''),
	sequence  INTEGER NOT NULL CHECK (sequence > 0),
	op        INTEGER NOT NULL,
	kind      TEXT    NOT NULL,
	fields    TEXT    NOT NULL,
	starts    INTEGER NOT NULL,
	ends      INTEGER NOT NULL,
	made_by   TEXT    NOT NULL,
	approver  TEXT    NOT NULL,
	ticket    TEXT    NOT NULL,
	reason    TEXT    NOT NULL,
	made      INTEGER NOT NULL,
	mac       BLOB    NOT NULL,
	PRIMARY KEY (tenant, sequence)
) WITHOUT ROWID;
CREATE TABLE authz_head (
	tenant    TEXT    NOT NULL CHECK (tenant <> '') PRIMARY KEY,
	sequence  INTEGER NOT NULL,
	mac       BLOB    NOT NULL
) WITHOUT ROWID;
CREATE TABLE authz_duty (
	tenant    TEXT    NOT NULL CHECK (tenant <> ''),
	duty      TEXT    NOT NULL,
	object    TEXT    NOT NULL,
	subject   TEXT    NOT NULL,
	act       TEXT    NOT NULL,
	PRIMARY KEY (tenant, duty, object, subject)
) WITHOUT ROWID;
