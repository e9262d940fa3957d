package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/authn"
	"github.com/surety-go/surety/authn/session"
	"github.com/surety-go/surety/guard"
)

func Example() {
	ctx := context.Background()
	key := bytes.Repeat([]byte{1}, session.KeySize) // in production: random, and not in the database
	sessions, err := session.New(&session.Memory{}, key, &auditlogtest.Recorder{}, session.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	p := authn.Principal{
		Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User},
		AAL:   authn.AAL2, Methods: []string{"pwd", "otp"},
	}
	epoch, _ := sessions.Epoch(ctx, "acme", "u-1") // before the factors are verified
	token, err := sessions.Create(ctx, p, epoch, session.Device{Name: "Firefox on Linux"})
	if err != nil {
		fmt.Println(err)
		return
	}
	call := guard.Synthetic("", "", http.Header{"Authorization": {"Bearer " + token}})
	who, err := sessions.Authenticate(ctx, call)
	fmt.Println(who.ID, who.AAL, err)
	n, _ := sessions.EndAll(ctx, "acme", "u-1", "password changed")
	_, err = sessions.Authenticate(ctx, call)
	fmt.Println(n, errors.Is(err, session.ErrEnded))
	// Output:
	// u-1 AAL2 <nil>
	// 1 true
}
