package auditlog

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// RotateKey hands a closed log over from one signing key to another of the
// same origin. The handover is an event, auditlog.key.rotate, under a
// checkpoint that the old key signed and, with witnesses in the options, that
// they cosigned; the last checkpoint is then signed by both. From here on the
// log is opened with the new key, and auditors give the old one as a former
// key. verifier is the new public key, as [NewKeyFile] returns it.
//
// After an error the log still has its old key, or has both: call RotateKey
// again. Witnesses learn the new key from their own operators. An origin can't
// be changed: a log of another origin is another log.
func RotateKey(ctx context.Context, dir string, from, to note.Signer, verifier string, opts Options) error {
	if err := sameKey(to, verifier); err != nil {
		return err
	}
	if from.Name() != to.Name() || from.KeyHash() == to.KeyHash() {
		return fmt.Errorf("%w: the new key is of %q, want another key of %q", ErrKey, to.Name(), from.Name())
	}
	if k, ok := to.(*fileSigner); ok && within(k.path, dir) {
		return errors.New("auditlog: the new signing key lies inside the log's directory: move it out")
	}
	l, err := Open(dir, from, opts)
	if err != nil {
		return err
	}
	ack := Published
	if len(opts.Witnesses) > 0 {
		ack = Witnessed
	}
	_, err = l.appendOwn(ctx, Event{
		Action: "auditlog.key.rotate", Outcome: Success, Actor: ActorFrom(ctx),
		Attrs: []Attr{String("from", keyID(from)), String("to", verifier)},
	}, ack)
	if err != nil {
		return errors.Join(fmt.Errorf("auditlog: the handover is not recorded: %w", err), l.Close())
	}
	l.eng.Countersign(to)
	return l.Close() // which signs a last checkpoint
}

// sameKey checks that a public key is the one of a signer, by a signature.
func sameKey(s note.Signer, verifier string) error {
	v, err := note.NewVerifier(verifier)
	if err != nil {
		return fmt.Errorf("%w: verifier: %w", ErrKey, err)
	}
	msg := []byte("surety key rotation\n")
	sig, err := s.Sign(msg)
	if err != nil {
		return fmt.Errorf("auditlog: the new key does not sign: %w", err)
	}
	if v.Name() != s.Name() || v.KeyHash() != s.KeyHash() || !v.Verify(msg, sig) {
		return fmt.Errorf("%w: the verifier is not of the new key", ErrKey)
	}
	return nil
}

// keyID names a key as signature lines do.
func keyID(s note.Signer) string { return fmt.Sprintf("%s+%08x", s.Name(), s.KeyHash()) }
