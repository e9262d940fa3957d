package bearer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/federation/jose"
	"github.com/surety-go/surety/controls"
)

// Controls describes what is taken of each issuer. Its probe offers tokens
// that claim to be of the issuer and are signed with a key of the probe's own,
// with none, and with a public key as a secret.
func (v *Verifier) Controls() []controls.Control {
	var list []controls.Control
	for _, name := range slices.Sorted(maps.Keys(v.issuers)) {
		in := v.issuers[name]
		params := []controls.Parameter{
			controls.Text("issuer", in.URL),
			controls.Text("audience", in.Audience),
			controls.Text("algorithms", join(in.Algorithms)),
			controls.Text("types", join(in.Types)),
			controls.Bool("bound", in.Bound),
			controls.Bool("clients_listed", len(in.Clients) > 0),
			controls.Bool("account_checked", in.Account != nil),
			controls.Duration("max_lifetime", v.o.MaxLifetime),
			controls.Duration("leeway", v.o.Leeway),
		}
		if r, ok := in.Keys.(*jose.Remote); ok {
			answering, silent := r.Bound()
			params = append(params, controls.Duration("keys_bound", answering), controls.Duration("keys_bound_silent", silent))
		}
		list = append(list, controls.Control{
			ID: "authn.bearer", Instance: instance(in.URL), Parameters: params,
			Probe: func(ctx context.Context) controls.Result { return v.probe(ctx, in) },
		})
	}
	return list
}

func join[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, s := range list {
		if words[i] = string(s); s == "" {
			words[i] = "none"
		}
	}
	return strings.Join(words, " ")
}

// instance is the issuer's host and path, as far as a name may be.
func instance(issuer string) string {
	_, rest, ok := strings.Cut(issuer, "://")
	if !ok {
		rest = issuer
	}
	return strings.TrimSuffix(rest, "/")
}

func (v *Verifier) probe(ctx context.Context, in *issuer) controls.Result {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return controls.Errored("making a key: %v", err)
	}
	now := v.now().Unix()
	claims := fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":"surety-probe","iat":%d,"exp":%d}`, in.URL, in.Audience, now, now+60)
	typ := in.Types[0]
	for what, header := range map[string]string{
		"a token signed with an unknown key": fmt.Sprintf(`{"alg":"ES256","typ":%q}`, typ),
		"a token without a signature":        fmt.Sprintf(`{"alg":"none","typ":%q}`, typ),
		"a token with a symmetric algorithm": fmt.Sprintf(`{"alg":"HS256","typ":%q}`, typ),
	} {
		token, err := forge(key, header, claims)
		if err != nil {
			return controls.Errored("signing: %v", err)
		}
		switch _, err := v.Verify(ctx, token); {
		case err == nil:
			return controls.Failed("%s was accepted", what)
		case !errors.Is(err, authn.ErrCredential):
			return controls.Errored("%s: %v", what, err)
		}
	}
	return controls.Passed("tokens with an unknown key, without a signature and with a symmetric algorithm were refused")
}

func forge(key *ecdsa.PrivateKey, header, claims string) (string, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(header)) + "." + b64([]byte(claims))
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return "", fmt.Errorf("bearer: probe: %w", err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + b64(signature), nil
}
