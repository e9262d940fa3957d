package catalogue

import (
	"errors"
	"slices"
)

// A Kind says what a library can do for a criterion.
type Kind uint8

// The kinds; a criterion may be of two.
const (
	Enforceable    Kind = 1 << iota // part of it can be enforced in code
	Evidenceable                    // evidence for it can be produced
	Organisational                  // people do it; the program keeps evidence at most
)

// String spells the kind as E, V, E/V or O.
func (k Kind) String() string {
	switch k {
	case Enforceable:
		return "E"
	case Evidenceable:
		return "V"
	case Enforceable | Evidenceable:
		return "E/V"
	}
	return "O"
}

// MarshalText writes the kind as [Kind.String].
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (k *Kind) UnmarshalText(b []byte) error {
	for _, kind := range [...]Kind{Enforceable, Evidenceable, Enforceable | Evidenceable, Organisational} {
		if kind.String() == string(b) {
			*k = kind
			return nil
		}
	}
	return errors.New("catalogue: E, V, E/V or O is wanted")
}

// A Criterion is one of the Trust Services Criteria.
type Criterion struct {
	ID string `json:"id"`
	// Paraphrase is this project's own wording, not the criterion's text.
	Paraphrase string `json:"paraphrase"`
	Kind       Kind   `json:"kind"`
}

// Criteria returns the 61 Trust Services Criteria (TSP section 100, 2017; the
// ids did not change with the points of focus of 2022) in their order.
func Criteria() []Criterion { return slices.Clone(criteria) }

// CriterionByID returns one criterion.
func CriterionByID(id string) (Criterion, bool) {
	i := slices.IndexFunc(criteria, func(c Criterion) bool { return c.ID == id })
	if i < 0 {
		return Criterion{}, false
	}
	return criteria[i], true
}

// Category names the category of a criterion's id: security, availability,
// confidentiality, processing integrity or privacy.
func (c Criterion) Category() string {
	for _, p := range [...]struct{ prefix, name string }{
		{"CC", "security"}, {"PI", "processing integrity"}, {"A", "availability"}, {"C", "confidentiality"}, {"P", "privacy"},
	} {
		if len(c.ID) > len(p.prefix) && c.ID[:len(p.prefix)] == p.prefix {
			return p.name
		}
	}
	return ""
}

var criteria = []Criterion{
	{"CC1.1", "People show integrity and ethical conduct", Organisational},
	{"CC1.2", "Independent board oversees internal control", Organisational},
	{"CC1.3", "Structure, reporting lines and authority are defined", Evidenceable},
	{"CC1.4", "Competent people are hired, trained and kept", Organisational},
	{"CC1.5", "Individuals answer for their control duties", Evidenceable},
	{"CC2.1", "Controls run on relevant, reliable information", Enforceable | Evidenceable},
	{"CC2.2", "Control duties and objectives are communicated internally", Evidenceable},
	{"CC2.3", "Control matters are communicated to outside parties", Evidenceable},
	{"CC3.1", "Objectives are clear enough to assess risk", Evidenceable},
	{"CC3.2", "Risks to objectives are identified and analysed", Evidenceable},
	{"CC3.3", "Fraud potential is considered in risk work", Evidenceable},
	{"CC3.4", "Significant changes are assessed for control impact", Evidenceable},
	{"CC4.1", "Controls are evaluated, continuously or separately", Enforceable | Evidenceable},
	{"CC4.2", "Deficiencies reach those who must fix them", Enforceable | Evidenceable},
	{"CC5.1", "Control activities reduce risks to acceptable levels", Evidenceable},
	{"CC5.2", "General technology controls are chosen and built", Enforceable | Evidenceable},
	{"CC5.3", "Policies and procedures put controls into action", Evidenceable},
	{"CC6.1", "Logical access protects information assets", Enforceable | Evidenceable},
	{"CC6.2", "Users are registered, authorised, then removed", Enforceable | Evidenceable},
	{"CC6.3", "Role-based access, least privilege, separated duties", Enforceable | Evidenceable},
	{"CC6.4", "Physical access is limited to authorised people", Organisational},
	{"CC6.5", "Assets are wiped before protection is dropped", Enforceable | Evidenceable},
	{"CC6.6", "Outside threats are kept beyond the boundary", Enforceable | Evidenceable},
	{"CC6.7", "Information in motion or removal is protected", Enforceable | Evidenceable},
	{"CC6.8", "Unauthorised or malicious software is stopped or found", Evidenceable},
	{"CC7.1", "Config drift and new vulnerabilities are detected", Enforceable | Evidenceable},
	{"CC7.2", "Systems are monitored for anomalies", Enforceable | Evidenceable},
	{"CC7.3", "Security events are evaluated as incidents or not", Evidenceable},
	{"CC7.4", "Incidents are handled by a defined programme", Evidenceable},
	{"CC7.5", "Recovery from incidents is planned and done", Evidenceable},
	{"CC8.1", "Changes are authorised, tested, approved, then released", Evidenceable},
	{"CC9.1", "Business disruption risks are actively mitigated", Enforceable | Evidenceable},
	{"CC9.2", "Vendor and partner risks are managed", Evidenceable},
	{"A1.1", "Processing capacity is monitored and planned", Enforceable | Evidenceable},
	{"A1.2", "Backups, recovery infrastructure, environment are run", Enforceable | Evidenceable},
	{"A1.3", "Recovery plan procedures are actually tested", Evidenceable},
	{"C1.1", "Confidential information is identified and kept safe", Enforceable | Evidenceable},
	{"C1.2", "Confidential information is disposed of", Enforceable | Evidenceable},
	{"PI1.1", "Processing objectives and data definitions are stated", Evidenceable},
	{"PI1.2", "Inputs are complete and accurate", Enforceable | Evidenceable},
	{"PI1.3", "Processing yields what the specification promises", Enforceable | Evidenceable},
	{"PI1.4", "Outputs are delivered complete, accurate, on time", Enforceable | Evidenceable},
	{"PI1.5", "Stored inputs, items and outputs stay intact", Enforceable | Evidenceable},
	{"P1.1", "People are given and updated on privacy notice", Enforceable | Evidenceable},
	{"P2.1", "Choices and consent are explained and obtained", Enforceable | Evidenceable},
	{"P3.1", "Collection matches stated privacy objectives", Enforceable | Evidenceable},
	{"P3.2", "Explicit consent comes before sensitive collection", Enforceable | Evidenceable},
	{"P4.1", "Use is limited to stated purposes", Enforceable | Evidenceable},
	{"P4.2", "Personal information is kept only as committed", Enforceable | Evidenceable},
	{"P4.3", "Personal information is securely disposed of", Enforceable | Evidenceable},
	{"P5.1", "Identified people can access their data", Enforceable | Evidenceable},
	{"P5.2", "People can correct data; recipients are told", Enforceable | Evidenceable},
	{"P6.1", "Disclosure needs consent (or legal ground)", Enforceable | Evidenceable},
	{"P6.2", "Authorised disclosures are fully recorded, kept", Enforceable | Evidenceable},
	{"P6.3", "Unauthorised disclosures and breaches are recorded", Evidenceable},
	{"P6.4", "Third parties give and keep privacy commitments", Evidenceable},
	{"P6.5", "Third parties must report suspected disclosures", Evidenceable},
	{"P6.6", "Breaches are notified to people and regulators", Evidenceable},
	{"P6.7", "People get an account of holdings and disclosures", Enforceable | Evidenceable},
	{"P7.1", "Personal information stays accurate and relevant", Enforceable | Evidenceable},
	{"P8.1", "Complaints are resolved; privacy compliance is monitored", Evidenceable},
}
