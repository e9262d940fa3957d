package login

import (
	"context"
	"errors"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls"
)

// probeTenant is where probes try to log in. No account has it.
const probeTenant = "surety-probe"

// Controls describes the login and lists the controls of its parts. Its probe
// tries to log in as nobody and with a forged ticket, and asks the machine
// for a session that lacks a factor.
func (f *Flow) Controls() []controls.Control {
	list := []controls.Control{{
		ID: "authn.login",
		Parameters: []controls.Parameter{
			controls.Bool("single_factor", f.o.SingleFactor),
			controls.Duration("ticket", f.o.TicketFor),
			controls.Int("min_length", f.o.Policy.Least(false)),
			controls.Int("min_length_alone", f.o.Policy.Least(true)),
			controls.Bool("breach_check", f.o.Policy.Breaches != nil),
			controls.Bool("insecure_cookies", f.o.InsecureCookies),
			controls.Bool("mail_login", f.o.MailLogin),
			controls.Duration("remember", f.o.Remember),
			controls.Bool("notices", f.o.Notifier != nil),
		},
		Probe: f.probe,
	}}
	for _, c := range []controls.Component{f.parts.Passwords, f.parts.Codes, f.parts.Sessions, f.parts.Guesses} {
		list = append(list, c.Controls()...)
	}
	if f.o.Recovery != nil {
		list = append(list, f.o.Recovery.Controls()...)
	}
	if f.o.Mail != nil {
		list = append(list, f.o.Mail.Controls()...)
	}
	return list
}

func (f *Flow) probe(ctx context.Context) controls.Result {
	quiet := *f
	quiet.parts.Recorder = auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	nobody, err := quiet.find(ctx, probeTenant, "probe")
	if err != nil {
		return controls.Errored("looking up an account: %v", err)
	}
	switch p, err := quiet.Begin(ctx, probeTenant, "probe", "probe: not a password", Client{}); {
	case p.Token != "" || p.Ticket != "":
		return controls.Failed("an account that does not exist could log in")
	case !errors.Is(err, ErrRefused):
		return controls.Errored("logging in: %v", err)
	}
	forged := encoding.EncodeToString(make([]byte, 200))
	if p, err := quiet.Code(ctx, forged, "000000", Client{}); err == nil || p.Token != "" {
		return controls.Failed("a forged ticket was accepted")
	} else if !errors.Is(err, ErrTicket) {
		return controls.Errored("a forged ticket: %v", err)
	}
	// The next probe shall not have to wait for this one's failure.
	if err := f.parts.Guesses.Succeed(ctx, probeTenant, nobody.ID); err != nil {
		return controls.Errored("clearing: %v", err)
	}
	return f.probeMachine()
}

// probeMachine asks the rule itself.
func (f *Flow) probeMachine() controls.Result {
	for _, c := range []struct {
		account  Account
		enrolled bool
		proven   []string
		want     Step
	}{
		{Account{}, true, nil, StepPassword},
		{Account{}, true, []string{methodPassword}, StepCode},
		{Account{}, true, []string{"fed"}, StepCode},
		{Account{}, true, []string{methodMail}, StepCode},
		{Account{}, true, []string{methodDevice}, StepCode},
		{Account{}, true, []string{methodHard}, StepPassword},
		{Account{MustChange: true}, true, []string{methodPassword, methodCode}, StepChange},
	} {
		if got := f.Next(c.account, c.enrolled, c.proven...); got != c.want {
			return controls.Failed("after %v the next step is %q: want %q", c.proven, got, c.want)
		}
	}
	if got := f.Next(Account{}, false, methodPassword); got == StepDone && !f.o.SingleFactor {
		return controls.Failed("a password alone was enough")
	}
	return controls.Passed("nobody, a forged ticket and one factor alone got no session")
}
