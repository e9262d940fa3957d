// Package federation tests tokens and sign-in elsewhere with the vectors and
// the programs of others.
package federation

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"github.com/surety-go/surety/authn/federation/jose"
)

// A vector is a test of Wycheproof's JSON Web Signature groups.
type vector struct {
	ID      int             `json:"tcId"`
	Comment string          `json:"comment"`
	Result  string          `json:"result"`
	JWS     json.RawMessage `json:"jws"`
}

type group struct {
	Comment string          `json:"comment"`
	Public  json.RawMessage `json:"public"`
	Private json.RawMessage `json:"private"`
	Tests   []vector        `json:"tests"`
}

var algorithms = []jose.Algorithm{
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.Ed25519,
	jose.PS256, jose.PS384, jose.PS512, jose.RS256, jose.RS384, jose.RS512,
}

// refusedByDesign are valid tokens that are refused on purpose, with the
// reason. All that are made with a symmetric key are refused too.
var refusedByDesign = map[int]string{
	346: "the key says PS256 and the token PS384", 350: "likewise",
	347: `the key's alg is "ES521", which is no algorithm`, 351: "likewise",
}

func groups(t *testing.T, file string) []group {
	t.Helper()
	data, err := fs.ReadFile(wycheproof.TestVectors, file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Groups []group `json:"testGroups"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Groups
}

// keys reads a group's key, or its set.
func keys(t *testing.T, g group) (jose.Keys, error) {
	t.Helper()
	data := g.Public
	if data == nil {
		data = g.Private
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(data, &set) == nil && set.Keys != nil {
		return jose.ParseSet(data)
	}
	k, err := jose.ParseKey(data)
	if err != nil {
		return nil, err
	}
	return jose.NewSet(k)
}

func symmetric(g group) bool {
	return g.Public == nil && bytes.Contains(g.Private, []byte(`"oct"`))
}

// Every invalid token is refused, and every valid one is accepted unless it is
// refused by design.
func TestWycheproofSignatures(t *testing.T) {
	invalid, accepted, refused := 0, 0, 0
	for _, file := range []string{"json_web_signature_test.json", "json_web_key_test.json", "json_web_crypto_test.json"} {
		for _, g := range groups(t, file) {
			set, keyErr := keys(t, g)
			var v *jose.Verifier
			if keyErr == nil {
				var err error
				if v, err = jose.NewVerifier(set, jose.Policy{Algorithms: algorithms, Types: []string{"", "jwt"}}); err != nil {
					t.Fatal(err)
				}
			}
			for _, test := range g.Tests {
				if test.JWS == nil {
					continue // encryption
				}
				var token string
				if json.Unmarshal(test.JWS, &token) != nil {
					token = string(test.JWS) // the JSON serialisation
				}
				err := keyErr
				if err == nil {
					_, err = v.Verify(t.Context(), token)
				}
				switch {
				case test.Result == "valid" && err == nil:
					accepted++
				case test.Result == "valid" && (refusedByDesign[test.ID] != "" || symmetric(g)):
					refused++
				case test.Result == "valid":
					t.Errorf("%s: %s: %d %s: refused: %v", file, g.Comment, test.ID, test.Comment, err)
				case err == nil:
					t.Errorf("%s: %s: %d %s: a false accept (%s)", file, g.Comment, test.ID, test.Comment, test.Result)
				default:
					invalid++
				}
			}
		}
	}
	t.Logf("%d invalid tokens refused, %d valid ones accepted, %d refused by design", invalid, accepted, refused)
	if invalid < 400 || accepted < 35 {
		t.Errorf("only %d and %d vectors were found", invalid, accepted)
	}
}
