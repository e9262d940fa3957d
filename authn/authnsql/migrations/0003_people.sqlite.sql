CREATE TABLE authn_person (
	tenant     TEXT NOT NULL CHECK (tenant <> ''),
	id         TEXT NOT NULL CHECK (id <> ''),
	external   TEXT NOT NULL,
	name       TEXT NOT NULL CHECK (name <> ''),
	state      TEXT NOT NULL,
	roles_json TEXT NOT NULL,
	asked_by   TEXT NOT NULL,
	since      INTEGER NOT NULL,
	seen       INTEGER NOT NULL,
	rev        INTEGER NOT NULL,
	PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX authn_person_name ON authn_person (tenant, name);
CREATE UNIQUE INDEX authn_person_external ON authn_person (tenant, external) WHERE external <> '';
