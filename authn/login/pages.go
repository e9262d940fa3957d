package login

import (
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

// A Page is what a layout shows.
type Page struct {
	Title string
	// Alert is a sentence about what went wrong, or empty.
	Alert string
	// Body is the form, made by this package.
	Body template.HTML
}

type pages struct{ layout, body *template.Template }

const plainLayout = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{if .Alert}}Error: {{end}}{{.Title}}</title>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
{{with .Alert}}<p role="alert">{{.}}</p>{{end}}
{{.Body}}
</main>
</body>
</html>
`

// The forms carry autocomplete tokens, so that password managers and phones
// fill them in (WCAG 2.2, 1.3.5 and 3.3.8).
const bodies = `
{{define "password"}}<form method="post" action="/login">
{{if .AskTenant}}<p><label for="tenant">Organisation</label><br><input id="tenant" name="tenant" value="{{.Tenant}}" required autocomplete="organization" autocapitalize="none" spellcheck="false"></p>
{{end}}<p><label for="name">Name or email address</label><br><input id="name" name="name" value="{{.Name}}" required autocomplete="username" autocapitalize="none" spellcheck="false"></p>
<p><label for="password">Password</label><br><input id="password" name="password" type="password" required autocomplete="current-password"></p>
<p><button>Sign in</button></p>
</form>
{{if .Forgot}}<p><a href="/login/forgot">I forgot my password</a></p>
{{end}}{{if .Link}}<p><a href="/login/link">Send me a link instead</a></p>
{{end}}{{end}}
{{define "code"}}<form method="post" action="/login/code">
{{if .Typed}}<p><label for="code">Recovery code</label><br><input id="code" name="code" required autocomplete="off" autocapitalize="none" spellcheck="false"></p>
{{else}}<p><label for="code">Code from your authenticator app</label><br><input id="code" name="code" inputmode="numeric" pattern="[0-9 ]*" required autocomplete="one-time-code"></p>
{{if .Remember}}<p><label><input type="checkbox" name="remember" value="1"> Don't ask for a code on this device for a while</label></p>
{{end}}{{end}}<p><button>Continue</button></p>
</form>
{{if and .Recovery (not .Typed)}}<p><a href="/login/code?recovery=1">Use a recovery code</a></p>
{{end}}<p><a href="/login">Start again</a></p>{{end}}
{{define "mail"}}<form method="post" action="{{.Action}}">
{{if .Name.AskTenant}}<p><label for="tenant">Organisation</label><br><input id="tenant" name="tenant" value="{{.Name.Tenant}}" required autocomplete="organization" autocapitalize="none" spellcheck="false"></p>
{{end}}<p><label for="name">Name or email address</label><br><input id="name" name="name" value="{{.Name.Name}}" required autocomplete="username" autocapitalize="none" spellcheck="false"></p>
<p><button>Send a link</button></p>
</form>{{end}}
{{define "sent"}}<p>If there is such an account, a message is on its way. Open its link in this browser, or type in its code.</p>
{{template "open" .}}{{end}}
{{define "open"}}<form method="post" action="{{.Action}}/open">
<p><label for="code">Code from the message</label><br><input id="code" name="code" value="{{.Code}}" required autocomplete="one-time-code" autocapitalize="none" spellcheck="false"></p>
<p><button>Continue</button></p>
</form>{{end}}
{{define "recovery"}}<p>Keep these where you find them without your telephone. Each works once; the ones before no longer work.</p>
<ul>
{{range .}}<li><code>{{.}}</code></li>
{{end}}</ul>
<p><a href="/account/security">I have written them down</a></p>{{end}}
{{define "enrol"}}{{if .Secret}}<p>Scan this with an authenticator app. If you can't, type in the secret.</p>
{{.QR}}
<p>Secret: <code>{{.Secret}}</code></p>
{{else}}<p><a href="{{.Restart}}">Show a new QR code</a></p>
{{end}}<form method="post" action="{{.Action}}">
<p><label for="code">Code that the app shows</label><br><input id="code" name="code" inputmode="numeric" pattern="[0-9 ]*" required autocomplete="one-time-code"></p>
<p><button>Confirm</button></p>
</form>{{end}}
{{define "change"}}<form method="post" action="{{.Action}}">
{{if .AskCurrent}}<p><label for="current">Present password</label><br><input id="current" name="current" type="password" required autocomplete="current-password"></p>
{{end}}<p><label for="new">New password</label><br><input id="new" name="new" type="password" required minlength="8" autocomplete="new-password" aria-describedby="hint"></p>
<p id="hint">A few words you can remember are better than one word with signs in it.</p>
<p><button>Change password</button></p>
</form>{{end}}
{{define "security"}}<h2>Where you are signed in</h2>
<table>
<thead><tr><th scope="col">Device</th><th scope="col">Since</th><th scope="col">Last used</th><th scope="col">Action</th></tr></thead>
<tbody>
{{range .Sessions}}<tr><td>{{.Device}}{{if .Current}} (this one){{end}}</td><td>{{.Created}}</td><td>{{.LastUsed}}</td><td><form method="post" action="/account/sessions"><input type="hidden" name="end" value="{{.ID}}"><button aria-label="Sign out {{.Device}}, signed in {{.Created}}">Sign out</button></form></td></tr>
{{end}}</tbody>
</table>
<form method="post" action="/account/sessions"><input type="hidden" name="end" value="others"><p><button>Sign out everywhere else</button></p></form>
<h2>Password</h2>
{{template "change" .Change}}
<h2>One-time codes</h2>
<p>{{if .Enrolled}}They are set up.{{else}}They are not set up.{{end}}</p>
<form method="post" action="/account/totp">
<p><label for="totp-password">Present password</label><br><input id="totp-password" name="password" type="password" required autocomplete="current-password"></p>
<p><button>{{if .Enrolled}}Set up a new device{{else}}Set up{{end}}</button></p>
</form>
{{if .Recovery}}<h2>Recovery codes</h2>
<form method="post" action="/account/recovery">
<p><label for="recovery-password">Present password</label><br><input id="recovery-password" name="password" type="password" required autocomplete="current-password"></p>
<p><button>Make new recovery codes</button></p>
</form>
{{end}}<form method="post" action="/logout"><p><button>Sign out</button></p></form>{{end}}
{{define "reauthenticate"}}<p>Confirm that it is you.</p>
<form method="post" action="/account/reauthenticate">
<input type="hidden" name="return" value="{{.Return}}">
<p><label for="password">Password</label><br><input id="password" name="password" type="password" required autocomplete="current-password"></p>
{{if .Enrolled}}<p><label for="code">Code from your authenticator app</label><br><input id="code" name="code" inputmode="numeric" pattern="[0-9 ]*" required autocomplete="one-time-code"></p>
{{end}}<p><button>Continue</button></p>
</form>{{end}}
`

func newPages(layout string) (pages, error) {
	if layout == "" {
		layout = plainLayout
	}
	l, err := template.New("layout").Parse(layout)
	if err != nil {
		return pages{}, fmt.Errorf("login: Options: Layout: %w", err)
	}
	b, err := template.New("bodies").Parse(bodies)
	if err != nil {
		return pages{}, fmt.Errorf("login: pages: %w", err)
	}
	return pages{l, b}, nil
}

// show writes a page. Pages hold secrets and tokens of one person: nobody
// keeps them.
func (p pages) show(w http.ResponseWriter, status int, title, alert, body string, data any) {
	var b, out strings.Builder
	err := p.body.ExecuteTemplate(&b, body, data)
	if err == nil {
		err = p.layout.Execute(&out, Page{title, alert, template.HTML(b.String())}) //nolint:gosec // written by html/template just above
	}
	if err != nil {
		http.Error(w, "The page can't be shown.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(out.String())) // the reader may be gone
}
