package oscal

import (
	"crypto/sha1" //nolint:gosec // RFC 9562 defines version 5 by SHA-1; nothing rests on its strength
	"encoding/hex"
	"strings"
	"time"
	"unicode"
)

const (
	version = "1.2.2"
	// ns is the namespace of properties that OSCAL does not define.
	ns = "https://github.com/surety-go/surety"
)

// space is the namespace of identifiers: version 5 of ns in RFC 9562's
// namespace for URLs.
var space = v5([16]byte{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}, ns)

func v5(space [16]byte, name string) (id [16]byte) {
	sum := sha1.Sum(append(space[:], name...)) //nolint:gosec // see above
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x50
	id[8] = id[8]&0x3f | 0x80
	return id
}

// uuid names something by its parts, which can't run into each other.
func uuid(parts ...string) string {
	id := v5(space, strings.Join(parts, "\x00"))
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// text makes one line that is not empty, as the string and markup-line types
// want.
func text(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if s == "" {
		return "none"
	}
	return s
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// token makes a token: a letter first, then letters, digits, ".", "-", "_".
func token(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsNumber(r) || strings.ContainsRune(".-_", r) {
			return r
		}
		return '_'
	}, s)
	if s == "" || !unicode.IsLetter([]rune(s)[0]) {
		return "_" + s
	}
	return s
}

type property struct {
	Name  string `json:"name"`
	NS    string `json:"ns"`
	Value string `json:"value"`
}

func prop(name, value string) property { return property{token(name), ns, text(value)} }

type metadata struct {
	Title        string     `json:"title"`
	LastModified string     `json:"last-modified"`
	Version      string     `json:"version"`
	OSCALVersion string     `json:"oscal-version"`
	Props        []property `json:"props,omitempty"`
	Roles        []role     `json:"roles,omitempty"`
}

type role struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

type responsible struct {
	Role string `json:"role-id"`
}

type backMatter struct {
	Resources []resource `json:"resources"`
}

type resource struct {
	UUID        string `json:"uuid"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

type componentDefinition struct {
	UUID       string      `json:"uuid"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components,omitempty"`
	BackMatter *backMatter `json:"back-matter,omitempty"`
}

type component struct {
	UUID            string           `json:"uuid"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description"`
	Props           []property       `json:"props,omitempty"`
	Roles           []responsible    `json:"responsible-roles,omitempty"`
	Implementations []implementation `json:"control-implementations,omitempty"`
}

type implementation struct {
	UUID         string        `json:"uuid"`
	Source       string        `json:"source"`
	Description  string        `json:"description"`
	Requirements []requirement `json:"implemented-requirements"`
}

type requirement struct {
	UUID        string     `json:"uuid"`
	Control     string     `json:"control-id"`
	Description string     `json:"description"`
	Props       []property `json:"props,omitempty"`
}

type assessmentResults struct {
	UUID       string     `json:"uuid"`
	Metadata   metadata   `json:"metadata"`
	ImportAP   href       `json:"import-ap"`
	Results    []result   `json:"results"`
	BackMatter backMatter `json:"back-matter"`
}

type href struct {
	Href string `json:"href"`
}

type result struct {
	UUID         string        `json:"uuid"`
	Title        string        `json:"title"`
	Description  string        `json:"description"`
	Start        string        `json:"start"`
	End          string        `json:"end"`
	Props        []property    `json:"props,omitempty"`
	Local        *local        `json:"local-definitions,omitempty"`
	Reviewed     reviewed      `json:"reviewed-controls"`
	Observations []observation `json:"observations,omitempty"`
	Risks        []risk        `json:"risks,omitempty"`
	Findings     []finding     `json:"findings,omitempty"`
}

type local struct {
	Components []localComponent `json:"components"`
}

type localComponent struct {
	UUID        string `json:"uuid"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Status      state  `json:"status"`
}

type state struct {
	State string `json:"state"`
}

type reviewed struct {
	Selections []selection `json:"control-selections"`
}

type selection struct {
	All     *struct{}  `json:"include-all,omitempty"`
	Include []selected `json:"include-controls,omitempty"`
}

type selected struct {
	Control string `json:"control-id"`
}

type observation struct {
	UUID        string     `json:"uuid"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Props       []property `json:"props,omitempty"`
	Methods     []string   `json:"methods"`
	Types       []string   `json:"types"`
	Subjects    []subject  `json:"subjects,omitempty"`
	Collected   string     `json:"collected"`
}

type subject struct {
	UUID string `json:"subject-uuid"`
	Type string `json:"type"`
}

type risk struct {
	UUID        string     `json:"uuid"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Statement   string     `json:"statement"`
	Props       []property `json:"props,omitempty"`
	Status      string     `json:"status"`
	Deadline    string     `json:"deadline"`
}

type finding struct {
	UUID         string               `json:"uuid"`
	Title        string               `json:"title"`
	Description  string               `json:"description"`
	Target       target               `json:"target"`
	Observations []relatedObservation `json:"related-observations,omitempty"`
	Risks        []relatedRisk        `json:"related-risks,omitempty"`
}

type target struct {
	Type   string       `json:"type"`
	ID     string       `json:"target-id"`
	Status targetStatus `json:"status"`
}

type targetStatus struct {
	State  string `json:"state"`
	Reason string `json:"reason"`
}

type relatedObservation struct {
	UUID string `json:"observation-uuid"`
}

type relatedRisk struct {
	UUID string `json:"risk-uuid"`
}
