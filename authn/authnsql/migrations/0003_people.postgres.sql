CREATE TABLE authn_person (
	tenant     TEXT NOT NULL CHECK (tenant <> ''),
	id         TEXT NOT NULL CHECK (id <> ''),
	external   TEXT NOT NULL,
	name       TEXT NOT NULL CHECK (name <> ''),
	state      TEXT NOT NULL,
	roles_json TEXT NOT NULL,
	asked_by   TEXT NOT NULL,
	since      BIGINT NOT NULL,
	seen       BIGINT NOT NULL,
	rev        BIGINT NOT NULL,
	PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX authn_person_name ON authn_person (tenant, name);
CREATE UNIQUE INDEX authn_person_external ON authn_person (tenant, external) WHERE external <> '';
ALTER TABLE authn_person ENABLE ROW LEVEL SECURITY;
ALTER TABLE authn_person FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_only ON authn_person
	USING (tenant = current_setting('surety.tenant', true))
	WITH CHECK (tenant = current_setting('surety.tenant', true));
