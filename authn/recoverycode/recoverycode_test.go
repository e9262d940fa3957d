package recoverycode_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn/recoverycode"
	"github.com/surety-go/surety/controls"
)

// spy remembers what it is given to store.
type spy struct {
	recoverycode.Memory
	seen []recoverycode.Hash
}

func (s *spy) Replace(ctx context.Context, tenant, account string, hashes []recoverycode.Hash) error {
	s.seen = hashes
	return s.Memory.Replace(ctx, tenant, account, hashes)
}

func issue(t testing.TB) (*recoverycode.Codes, *spy, *auditlogtest.Recorder, []string) {
	t.Helper()
	s, rec := &spy{}, &auditlogtest.Recorder{}
	c, err := recoverycode.New(s, rec)
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Issue(t.Context(), "acme", "u-1")
	if err != nil {
		t.Fatal(err)
	}
	return c, s, rec, list
}

func TestASVS_6_5_1_RecoveryCodeWorksOnce(t *testing.T) {
	c, _, rec, list := issue(t)
	for i, code := range list {
		if left, err := c.Verify(t.Context(), "acme", "u-1", code); err != nil || left != len(list)-i-1 {
			t.Errorf("code %d: %d left, %v", i, left, err)
		}
		if _, err := c.Verify(t.Context(), "acme", "u-1", code); !errors.Is(err, recoverycode.ErrCode) {
			t.Errorf("code %d again: %v", i, err)
		}
	}
	rec.Want(t, "authn.recoverycode.issue", auditlog.Success)
	if n := len(rec.Find("authn.recoverycode.verify")); n != 20 {
		t.Errorf("%d events", n)
	}
}

func TestOneCodeAtTheSameMoment(t *testing.T) {
	c, _, _, list := issue(t)
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := c.Verify(context.Background(), "acme", "u-1", list[0]); err == nil {
				wins.Add(1)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("one code worked %d times", wins.Load())
	}
}

// The failure of kratos and rodauth: codes stored raw.
func TestASVS_6_5_2_and_6_5_3_OnlyHashesOfRandomCodesAreStored(t *testing.T) {
	_, s, rec, list := issue(t)
	if len(list) != recoverycode.Count || len(s.seen) != len(list) {
		t.Fatalf("%d codes, %d hashes", len(list), len(s.seen))
	}
	seen := map[string]bool{}
	for _, code := range list {
		bare := strings.ReplaceAll(code, "-", "")
		if len(bare)*5 < 112 || seen[code] {
			t.Errorf("a code of %d bits, repeated %t", len(bare)*5, seen[code])
		}
		seen[code] = true
		for _, h := range s.seen {
			if strings.Contains(string(h[:]), bare) {
				t.Error("a code is stored")
			}
		}
		rec.WantWithout(t, code, bare)
	}
}

func TestCodesBelongToOneAccount(t *testing.T) {
	c, s, _, list := issue(t)
	// A SQL writer copies his own hashes to another account.
	if err := s.Memory.Replace(t.Context(), "acme", "u-2", s.seen); err != nil {
		t.Fatal(err)
	}
	for _, who := range [][2]string{{"acme", "u-2"}, {"globex", "u-1"}} {
		if _, err := c.Verify(t.Context(), who[0], who[1], list[0]); !errors.Is(err, recoverycode.ErrCode) {
			t.Errorf("%v: %v", who, err)
		}
	}
	again, err := c.Issue(t.Context(), "acme", "u-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(t.Context(), "acme", "u-1", list[0]); !errors.Is(err, recoverycode.ErrCode) {
		t.Errorf("a code from before the reissue: %v", err)
	}
	if _, err := c.Verify(t.Context(), "acme", "u-1", again[0]); err != nil {
		t.Error(err)
	}
}

func TestWhatPeopleType(t *testing.T) {
	c, _, _, list := issue(t)
	typed := strings.ToUpper(strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(list[0], "-", " "), "0", "O"), "1", "l"))
	if _, err := c.Verify(t.Context(), "acme", "u-1", " "+typed+" "); err != nil {
		t.Errorf("%q: %v", typed, err)
	}
	for _, bad := range []string{"", "123456", list[1][:28], list[1] + "0", strings.Repeat("-", 1000), "uuuu-uuuu-uuuu-uuuu-uuuu-uuuu"} {
		if recoverycode.Looks(bad) {
			t.Errorf("%.30q looks like a code", bad)
		}
		if _, err := c.Verify(t.Context(), "acme", "u-1", bad); !errors.Is(err, recoverycode.ErrCode) {
			t.Errorf("%.30q: %v", bad, err)
		}
	}
}

type down struct{ recoverycode.Memory }

func (*down) Use(context.Context, string, string, recoverycode.Hash) (bool, error) {
	return true, errors.New("down")
}

func TestFaultsDeny(t *testing.T) {
	c, _, rec, list := issue(t)
	rec.FailWith(errors.New("disk full"))
	if _, err := c.Verify(t.Context(), "acme", "u-1", list[0]); err == nil {
		t.Error("an unrecorded verification succeeded")
	}
	if list, err := c.Issue(t.Context(), "acme", "u-1"); err == nil || list != nil {
		t.Error("unrecorded codes were issued")
	}
	broken, err := recoverycode.New(&down{}, &auditlogtest.Recorder{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broken.Verify(t.Context(), "acme", "u-1", list[0]); err == nil || errors.Is(err, recoverycode.ErrCode) {
		t.Errorf("%v", err)
	}
	if _, err := c.Verify(t.Context(), "", "u-1", list[0]); err == nil {
		t.Error("without a tenant")
	}
}

func FuzzLooks(f *testing.F) {
	f.Add("k3v2-0000-zzzz-oil1-abcd-2345")
	f.Fuzz(func(t *testing.T, s string) {
		if recoverycode.Looks(s) && len(s) < 24 {
			t.Errorf("%q", s)
		}
	})
}

func Example() {
	ctx := context.Background()
	codes, err := recoverycode.New(&recoverycode.Memory{}, &auditlogtest.Recorder{})
	if err != nil {
		fmt.Println(err)
		return
	}
	list, err := codes.Issue(ctx, "acme", "u-1")
	fmt.Println(len(list), err)
	fmt.Println(codes.Verify(ctx, "acme", "u-1", list[0]))
	_, err = codes.Verify(ctx, "acme", "u-1", list[0])
	fmt.Println(err)
	// Output:
	// 10 <nil>
	// 9 <nil>
	// recoverycode: wrong or used code
}

func TestProbe(t *testing.T) {
	c, _, _, _ := issue(t)
	if r := c.Controls()[0].Run(t.Context()); r.State != controls.Pass {
		t.Errorf("%+v", r)
	}
	broken, err := recoverycode.New(&down{}, &auditlogtest.Recorder{})
	if err != nil {
		t.Fatal(err)
	}
	if r := broken.Controls()[0].Run(t.Context()); r.State != controls.Error {
		t.Errorf("%+v", r)
	}
}
