package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/surety-go/surety/authn/otp"
	"github.com/surety-go/surety/authn/password"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/authn/throttle"
	"github.com/surety-go/surety/guard"
	"github.com/surety-go/surety/internal/problem"
	"github.com/surety-go/surety/internal/strictjson"
)

// maxBody bounds what a stranger can make a login read, in bytes.
const maxBody = 16 << 10

// An input is what any of the POST requests holds.
type input struct {
	Tenant   string `json:"tenant"`
	Name     string `json:"name"`
	Password string `json:"password"`
	Ticket   string `json:"ticket"`
	Code     string `json:"code"`
	Current  string `json:"current"`
	New      string `json:"new"`
	End      string `json:"end"`
	Handle   string `json:"handle"`
	Device   string `json:"device"`
	Remember bool   `json:"remember"`
	Return   string `json:"-"`

	form bool
}

var errInput = errors.New("login: want a form or one JSON object, of at most 16 KiB")

// read takes the input of a request. A form's ticket is in its cookie.
func (f *Flow) read(w http.ResponseWriter, r *http.Request) (input, error) {
	var in input
	if err := f.origin.Check(r); err != nil {
		return in, errOrigin
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	typ, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch typ {
	case "application/json":
		if err := strictjson.Decode(r.Body, maxBody, &in); err != nil {
			return in, errInput
		}
	case "application/x-www-form-urlencoded", "":
		if err := r.ParseForm(); err != nil {
			return in, errInput
		}
		v := r.PostForm
		in = input{
			Tenant: v.Get("tenant"), Name: v.Get("name"), Password: v.Get("password"), Code: v.Get("code"),
			Current: v.Get("current"), New: v.Get("new"), End: v.Get("end"), Return: v.Get("return"), Remember: v.Get("remember") != "", form: true,
		}
		in.Device, in.Handle = f.cookie(r, deviceCookie), f.cookie(r, mailCookie)
		in.Ticket = f.cookie(r, ticketCookie)
	default:
		return in, errInput
	}
	if in.Tenant == "" && f.o.Tenant != nil {
		in.Tenant = f.o.Tenant(r)
	}
	return in, nil
}

var errOrigin = errors.New("login: the request comes from another site")

// The cookies beside the session's.
const (
	ticketCookie = "login"
	mailCookie   = "mail"
	deviceCookie = "device"
)

// cookieName is the name under which a cookie is for this host only.
func (f *Flow) cookieName(name string) string {
	if f.o.InsecureCookies {
		return name
	}
	return "__Host-" + name
}

func (f *Flow) cookie(r *http.Request, name string) string {
	if c, err := r.Cookie(f.cookieName(name)); err == nil {
		return c.Value
	}
	return ""
}

// setCookie sets a cookie for a time, or takes it back.
func (f *Flow) setCookie(w http.ResponseWriter, name, value string, age time.Duration) {
	seconds := int(age / time.Second)
	if value == "" {
		seconds = -1
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure unless the operator chose InsecureCookies, for loopback only
		Name: f.cookieName(name), Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: !f.o.InsecureCookies, SameSite: http.SameSiteLaxMode,
	})
}

func (f *Flow) setTicket(w http.ResponseWriter, value string) {
	f.setCookie(w, ticketCookie, value, f.o.TicketFor)
}

// client is clientOf with what the input says of the device.
func (f *Flow) client(r *http.Request, in input) Client {
	c := clientOf(r)
	c.Remembered, c.Remember = in.Device, in.Remember
	return c
}

// clientOf is where a request comes from, as the chain's guards found it.
func clientOf(r *http.Request) Client {
	c := Client{Device: session.Device{Name: deviceName(r.UserAgent())}}
	if call := guard.CallFrom(r.Context()); call != nil {
		c.Addr = call.Client
	} else if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.Addr = ap.Addr()
	}
	if c.Addr.IsValid() {
		a := c.Addr.Unmap().WithZone("")
		bits := 24
		if a.Is6() {
			bits = 48
		}
		c.Device.Network = netip.PrefixFrom(a, bits).Masked().String()
	}
	return c
}

// deviceName says in a few words what a user agent claims to be. The rest of
// it tells more about a person than a list of sessions needs.
func deviceName(agent string) string {
	pick := func(names ...string) string {
		for _, n := range names {
			if strings.Contains(agent, n) {
				return n
			}
		}
		return ""
	}
	browser := pick("Firefox", "Edg", "OPR", "Chrome", "Safari", "curl", "grpc-go", "Go-http-client")
	switch browser {
	case "Edg":
		browser = "Edge"
	case "OPR":
		browser = "Opera"
	case "Go-http-client", "grpc-go":
		browser = "a Go program"
	case "":
		return "an unknown program"
	}
	if system := pick("Android", "iPhone", "iPad", "Windows", "Macintosh", "CrOS", "Linux"); system != "" {
		return browser + " on " + system
	}
	return browser
}

// pathOf is where each step's page is.
var pathOf = map[Step]string{
	StepPassword: "/login", StepCode: "/login/code", StepEnrol: "/login/enrol", StepChange: "/login/password",
}

// progress answers a step that succeeded.
func (f *Flow) progress(w http.ResponseWriter, r *http.Request, in input, p Progress) {
	if !in.form {
		writeJSON(w, map[string]any{"step": p.Step, "ticket": p.Ticket, "token": p.Token, "device": p.Device})
		return
	}
	if p.Step == StepDone {
		f.setTicket(w, "")
		f.setCookie(w, mailCookie, "", 0)
		if p.Device != "" {
			f.setCookie(w, deviceCookie, p.Device, f.o.Remember)
		}
		f.parts.Sessions.SetCookie(w, p.Token)
		http.Redirect(w, r, f.o.Home, http.StatusSeeOther)
		return
	}
	f.setTicket(w, p.Ticket)
	f.setCookie(w, mailCookie, "", 0)
	http.Redirect(w, r, pathOf[p.Step], http.StatusSeeOther)
}

func writeJSON(w http.ResponseWriter, members map[string]any) {
	for k, v := range members {
		if v == "" || v == Step("") {
			delete(members, k)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(members) // the reader may be gone
}

// An answer is what a caller is told about an error.
type answer struct {
	status int
	public string
	retry  time.Duration
}

// answerTo turns an error into its answer. What isn't an error of the
// caller's is a 503 that says nothing.
func answerTo(ctx context.Context, err error) answer {
	var locked *throttle.LockedError
	var refused *password.RefusedError
	var limit *otp.LimitError
	switch {
	case errors.As(err, &locked):
		return answer{http.StatusTooManyRequests, "Too many attempts. Wait before you try again.", max(locked.RetryAfter, time.Second)}
	case errors.As(err, &limit):
		return answer{http.StatusTooManyRequests, "Too many messages or attempts. Wait before you try again.", max(limit.RetryAfter, time.Second)}
	case errors.Is(err, throttle.ErrContention):
		return answer{http.StatusTooManyRequests, "Too many attempts. Wait before you try again.", time.Second}
	case errors.As(err, &refused):
		return answer{http.StatusUnprocessableEntity, refused.Public, 0}
	case errors.Is(err, ErrRefused):
		return answer{http.StatusUnauthorized, "The name, the password or the code is wrong.", 0}
	case errors.Is(err, ErrTicket), errors.Is(err, ErrStep):
		return answer{http.StatusConflict, "The sign-in has to start again.", 0}
	case errors.Is(err, session.ErrEnded):
		return answer{http.StatusUnauthorized, "The session has ended. Sign in again.", 0}
	case errors.Is(err, errInput):
		return answer{http.StatusBadRequest, "The request is not a form or a JSON object with the expected members.", 0}
	case errors.Is(err, errOrigin):
		return answer{http.StatusForbidden, "The request comes from another site.", 0}
	case ctx.Err() != nil:
		return answer{http.StatusServiceUnavailable, "The request took too long.", 0}
	}
	return answer{http.StatusServiceUnavailable, "This can't be decided now. Try again later.", 0}
}

// fail answers a step that did not succeed, with the step's page for people.
func (f *Flow) fail(w http.ResponseWriter, r *http.Request, form bool, err error, title, body string, data any) {
	a := answerTo(r.Context(), err)
	if call := guard.CallFrom(r.Context()); call != nil {
		call.Event.Reason = "authn.login"
	}
	if a.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((a.retry+time.Second-1)/time.Second)))
		a.public = fmt.Sprintf("%s (%v)", a.public, a.retry.Round(time.Second))
	}
	if !form {
		problem.Write(w, problem.Problem{Title: http.StatusText(a.status), Status: a.status, Detail: a.public})
		return
	}
	if errors.Is(err, ErrTicket) || errors.Is(err, ErrStep) {
		f.setTicket(w, "")
		title, body, data = "Sign in", "password", f.askName(r, input{})
	}
	f.pages.show(w, a.status, title, a.public, body, data)
}

// wantsJSON reports whether a GET comes from a program.
func wantsJSON(r *http.Request) bool { return !strings.Contains(r.Header.Get("Accept"), "text/html") }
