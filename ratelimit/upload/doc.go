// Package upload has uploads looked at by a virus scanner, and bounds their
// size and kind, before the application sees them.
//
//	scanner, err := upload.Clamd("unix", "/run/clamav/clamd.ctl", upload.ScannerOptions{})
//	gate, err := upload.New(scanner, log, upload.Options{
//		Types: []string{"application/pdf", "image/png", "image/jpeg"}, Quarantine: "/var/lib/app/quarantine",
//	})
//	guard.Route{Pattern: "POST /documents", Action: "documents.create", Guards: […], Handler: gate.Middleware(create)}
//
// The middleware keeps the whole body in a file of its own, has it scanned as
// it arrives and then again each file of a form by itself, because a scanner
// need not understand forms; and only then calls the handler, which reads the
// body as it came. For uploads that arrive otherwise there is [Gate.Check].
//
// Everything fails closed: a scanner that can't be reached, that breaks off,
// that finds a file too large for itself or that answers with anything but
// "clean" means that the upload is refused. What a scanner doesn't know it
// doesn't find; the kinds of files that are let in at all are the stronger
// limit. Kinds are told by content (http.DetectContentType), never by name or
// by what the caller says.
//
// # Errors
//
// [ErrInfected], [ErrTooLarge], [ErrType] and [ErrScanner] are for errors.Is.
package upload
