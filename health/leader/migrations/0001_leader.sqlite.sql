CREATE TABLE health_leader (
	tenant   TEXT    NOT NULL CHECK (tenant <> ''),
	election TEXT    NOT NULL CHECK (election <> ''),
	holder   TEXT    NOT NULL,
	token    INTEGER NOT NULL,
	expires  INTEGER NOT NULL,
	PRIMARY KEY (tenant, election)
) WITHOUT ROWID;
