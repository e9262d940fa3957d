// Package browser holds the guards that protect people's browsers: response
// headers with a content security policy, refusal of cross-site requests, and
// strict CORS.
//
//	headers, err := browser.Headers(browser.HeaderOptions{})
//	origin, err := browser.SameOrigin()
//	base := []guard.Guard{guard.Audit(log), headers, origin, …}
//
// Each is on by default in its strictest form that a server-rendered page
// with its own style sheet can live with. They look at HTTP only: gRPC calls
// pass them untouched.
//
// # What they defend and what they don't
//
// Origin and Sec-Fetch-Site are set by browsers and can't be changed by a
// page, which is what makes SameOrigin and CORS work against a hostile site.
// A program sends whatever it likes; against programs stand authentication
// and policies. A content security policy limits what injected markup can do;
// it does not make injection safe.
package browser
