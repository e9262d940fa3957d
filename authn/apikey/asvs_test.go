package apikey_test

import (
	"testing"
	"time"

	"github.com/surety-go/surety/authn/apikey"
)

func TestASVS_6_4_5_OwnersHearBeforeKeysEnd(t *testing.T) {
	s := newShop(t, apikey.Options{})
	for _, days := range []int{3, 80, 10} {
		k := apikey.Key{Tenant: "acme", Owner: "u-1", Name: "export", Expires: s.at.Add(time.Duration(days) * 24 * time.Hour)}
		if _, _, err := s.Create(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.Expiring(t.Context(), "acme", 14*24*time.Hour)
	if err != nil || len(list) != 2 || !list[0].Expires.Before(list[1].Expires) || list[0].Owner != "u-1" {
		t.Errorf("%+v, %v", list, err)
	}
	s.at = s.at.Add(4 * 24 * time.Hour)
	if list, err := s.Expiring(t.Context(), "acme", 14*24*time.Hour); err != nil || len(list) != 1 {
		t.Errorf("one that has ended is listed: %+v, %v", list, err)
	}
}
