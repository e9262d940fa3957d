package dsr

import (
	"errors"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/privacy/record"
)

// Errors of the package.
var (
	ErrConfig     = errors.New("dsr: bad configuration")
	ErrAsk        = errors.New("dsr: bad request")
	ErrState      = errors.New("dsr: not possible in this state")
	ErrIdentity   = errors.New("dsr: who asks is not proven well enough")
	ErrRecipients = errors.New("dsr: recipients have not been told")
	ErrNotFound   = record.ErrNotFound
	ErrTampered   = record.ErrTampered
	ErrConflict   = record.ErrConflict
)

// A Kind is what a person asks for.
type Kind string

// The kinds, with the law that gives the right.
const (
	Access         Kind = "access"          // GDPR Art. 15, CCPA 1798.110
	Portability    Kind = "portability"     // GDPR Art. 20
	Rectification  Kind = "rectification"   // GDPR Art. 16, CCPA 1798.106
	Erasure        Kind = "erasure"         // GDPR Art. 17, CCPA 1798.105
	Restriction    Kind = "restriction"     // GDPR Art. 18
	Objection      Kind = "objection"       // GDPR Art. 21
	OptOut         Kind = "opt-out"         // CCPA 1798.120: sale and sharing
	LimitSensitive Kind = "limit-sensitive" // CCPA 1798.121
	Appeal         Kind = "appeal"          // of a refused request
	Complaint      Kind = "complaint"
)

// levels are what each kind asks for unless Options say otherwise. Opting out
// must not need a proof of identity (11 CCR 7060(b)).
var levels = map[Kind]Level{
	Access: StepUp, Portability: StepUp, Rectification: StepUp, Erasure: StepUp, Restriction: Session, Objection: Session,
	OptOut: Unverified, LimitSensitive: Unverified, Appeal: Session, Complaint: Unverified,
}

// tells are the kinds whose outcome recipients are told (GDPR Art. 19).
var tells = map[Kind]bool{Rectification: true, Erasure: true, Restriction: true}

// A Level is how sure we are who asks.
type Level uint8

// The levels, from weak to strong.
const (
	Unverified Level = iota
	EmailLoop        // answered a message to the address on file
	Session          // signed in
	StepUp           // signed in with a second factor just now
	Manual           // an employee looked at documents
)

var levelNames = [...]string{"unverified", "email-loop", "session", "step-up", "manual"}

// String returns the level's name as evidence spells it.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "unknown"
}

// A State is where a request stands.
type State string

// The states.
const (
	Received  State = "received"
	Verifying State = "verifying" // the person was asked to prove who they are
	Active    State = "active"
	Fulfilled State = "fulfilled"
	Refused   State = "refused"
	Withdrawn State = "withdrawn"
)

// Open reports whether the request still waits for something.
func (s State) Open() bool { return s == Received || s == Verifying || s == Active }

// next lists where each state may lead.
var next = map[State][]State{
	Received:  {Verifying, Active, Refused, Withdrawn},
	Verifying: {Active, Refused, Withdrawn},
	Active:    {Fulfilled, Refused, Withdrawn},
}

// An Exception is a ground on which the law lets a request be refused.
type Exception string

// The grounds.
const (
	Unfounded       Exception = "manifestly-unfounded" // GDPR Art. 12(5)
	Excessive       Exception = "excessive"            // GDPR Art. 12(5)
	Unidentified    Exception = "not-identified"       // GDPR Art. 12(2), CCPA 1798.145(h)
	LegalDuty       Exception = "legal-obligation"     // GDPR Art. 17(3)(b), CCPA 1798.105(d)
	LegalClaims     Exception = "legal-claims"         // GDPR Art. 17(3)(e), and holds
	FreeExpression  Exception = "free-expression"      // GDPR Art. 17(3)(a)
	PublicInterest  Exception = "public-interest"      // GDPR Art. 17(3)(c) and (d)
	OthersRights    Exception = "rights-of-others"     // GDPR Art. 15(4)
	Contractual     Exception = "needed-for-contract"  // CCPA 1798.105(d)(1)
	CompellingCause Exception = "compelling-grounds"   // GDPR Art. 21(1)
)

var exceptions = map[Exception]bool{
	Unfounded: true, Excessive: true, Unidentified: true, LegalDuty: true, LegalClaims: true,
	FreeExpression: true, PublicInterest: true, OthersRights: true, Contractual: true, CompellingCause: true,
}

// An Agent asks on behalf of a person (11 CCR 7063).
type Agent struct {
	ID            string // the agent's account or register number
	Authorisation string // where the signed permission is kept
}

// An Ask is a request as it comes in. No field may hold personal data beyond
// pseudonyms: it stands in records that outlive an erasure.
type Ask struct {
	Tenant  string
	Subject string // the person's account id
	Kind    Kind
	Regime  string
	Channel string // "web", "letter", "phone"; empty is "web"
	Agent   *Agent
	About   string    // the request an [Appeal] is about
	At      time.Time // when it came in, if earlier than now, as a letter did
}

// A Recipient was given the person's data and is told what became of it.
type Recipient struct {
	Name    string
	Told    time.Time
	Receipt string // where its confirmation is kept; empty until there is one
}

// A Step is a change of a request.
type Step struct {
	At     time.Time
	Actor  string
	Action string
	Reason string
}

// A Request is what is known of a request.
type Request struct {
	ID, Tenant, Subject string
	Kind                Kind
	Regime, Channel     string
	Agent               *Agent
	About               string
	State               State
	Version             int
	Received            time.Time
	ReceivedOn          Date      // in the regime's time zone
	Confirmed           time.Time // when the person was told that it came in
	ConfirmBy           time.Time // zero: the law asks for no confirmation
	Due                 time.Time // the first moment that is too late
	Extended            bool
	Paused              Date // since when the clock stands still; zero: it runs
	PausedDays          int
	Level               Level
	Recipients          []Recipient
	Exception           Exception
	Result              string // where the answer is kept
	Closed              time.Time
	Overdue             bool // an event told that it is late
	Challenge           []byte
	ChallengeUntil      time.Time
	ChallengeTries      int
	Steps               []Step
}

// Late reports whether the answer is late at a moment. While the clock stands
// still nothing becomes late.
func (r *Request) Late(now time.Time) bool {
	return r.State.Open() && r.Paused == (Date{}) && !now.Before(r.Due)
}

// LateToConfirm reports whether the confirmation is late.
func (r *Request) LateToConfirm(now time.Time) bool {
	return r.State.Open() && !r.ConfirmBy.IsZero() && r.Confirmed.IsZero() && !now.Before(r.ConfirmBy)
}

func (a Ask) validate() error {
	for _, f := range []struct{ name, value string }{{"Tenant", a.Tenant}, {"Subject", a.Subject}, {"Regime", a.Regime}} {
		if f.value == "" || len(f.value) > auditlog.MaxName {
			return fmt.Errorf("%w: %s: want 1 to %d bytes", ErrAsk, f.name, auditlog.MaxName)
		}
	}
	if _, ok := levels[a.Kind]; !ok {
		return fmt.Errorf("%w: Kind is none of the kinds", ErrAsk)
	}
	if len(a.Channel) > 64 {
		return fmt.Errorf("%w: Channel: want at most 64 bytes", ErrAsk)
	}
	if a.Agent != nil && (a.Agent.ID == "" || a.Agent.Authorisation == "" || len(a.Agent.ID)+len(a.Agent.Authorisation) > auditlog.MaxName) {
		return fmt.Errorf("%w: Agent: want an id and where the permission is kept", ErrAsk)
	}
	if (a.Kind == Appeal) != (a.About != "") {
		return fmt.Errorf("%w: About: an appeal, and nothing else, is about a request", ErrAsk)
	}
	return nil
}
