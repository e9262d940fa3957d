package privacytest

import (
	"net/http"
	"sync/atomic"
	"testing"
)

// AsEasy asserts that withdrawing consent takes a person no more requests than
// giving it (GDPR, Article 7(3)). Both functions do what a person would, with
// the client that they get, which is like the given one and counts; each has to
// make a request at least.
func AsEasy(t testing.TB, like *http.Client, give, withdraw func(*http.Client) error) {
	t.Helper()
	given, withdrawn := count(t, like, "giving", give), count(t, like, "withdrawing", withdraw)
	if withdrawn > given {
		t.Errorf("withdrawing takes %d requests and giving %d", withdrawn, given)
	}
}

// count counts the requests of one act.
func count(t testing.TB, like *http.Client, what string, act func(*http.Client) error) int64 {
	t.Helper()
	c := *like
	n := &counter{next: c.Transport}
	if n.next == nil {
		n.next = http.DefaultTransport
	}
	c.Transport = n
	if err := act(&c); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if n.requests.Load() == 0 {
		t.Fatalf("privacytest: %s makes no request of the client that it was given", what)
	}
	return n.requests.Load()
}

type counter struct {
	next     http.RoundTripper
	requests atomic.Int64
}

// RoundTrip counts.
func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests.Add(1)
	return c.next.RoundTrip(r)
}
