package auditlog_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/sink"
)

// What the sink posts is what OpenTelemetry's own schema describes: its parser
// refuses members that it doesn't know and values of the wrong kind.
func TestOTLPIsWhatItsSchemaSays(t *testing.T) {
	bodies := make(chan []byte, 16)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		b, err := io.ReadAll(z)
		if err != nil {
			t.Error(err)
		}
		bodies <- b
		answer, err := protojson.Marshal(&collector.ExportLogsServiceResponse{PartialSuccess: &collector.ExportLogsPartialSuccess{RejectedLogRecords: 1}})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(answer) // the client may be gone
	}))
	defer srv.Close()
	s, err := sink.NewOTLP(srv.URL+"/v1/logs", "records", sink.HTTPOptions{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	signer, _, err := auditlog.NewKeyFile(filepath.Join(t.TempDir(), "key"), "example.org/audit")
	if err != nil {
		t.Fatal(err)
	}
	l, err := auditlog.Open(filepath.Join(t.TempDir(), "log"), signer, auditlog.Options{SegmentSize: 256 << 10, Reserve: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, o := range []auditlog.Outcome{auditlog.Success, auditlog.Denied, auditlog.Failed} {
		ev := auditlog.Event{Action: "records.read", Outcome: o, Reason: "authz.policy", Actor: auditlog.Actor{ID: "u-1", Tenant: "acme", Kind: auditlog.User}}
		if err := l.Record(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	var batch []auditlog.Indexed
	for e, err := range l.Entries(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, e)
	}
	if err := s.Send(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	var request collector.ExportLogsServiceRequest
	if err := (protojson.UnmarshalOptions{}).Unmarshal(<-bodies, &request); err != nil {
		t.Fatal(err)
	}
	records := request.ResourceLogs[0].ScopeLogs[0].LogRecords
	if len(records) != len(batch) || s.Rejected() != 1 {
		t.Fatalf("%d records of %d entries, %d rejected", len(records), len(batch), s.Rejected())
	}
	for i, r := range records {
		e := batch[i]
		if r.TimeUnixNano != uint64(e.Time.UnixNano()) || r.ObservedTimeUnixNano < r.TimeUnixNano || time.Unix(0, int64(r.ObservedTimeUnixNano)).After(time.Now()) {
			t.Errorf("record %d: times %d and %d", i, r.TimeUnixNano, r.ObservedTimeUnixNano)
		}
		if r.EventName != e.Action || r.SeverityText == "" || r.SeverityNumber.String() != "SEVERITY_NUMBER_"+r.SeverityText {
			t.Errorf("record %d: %s, %s, %s", i, r.EventName, r.SeverityNumber, r.SeverityText)
		}
		if back, err := auditlog.ParseEntry([]byte(r.Body.GetStringValue())); err != nil || back.ID != e.ID {
			t.Errorf("record %d: its body is not the entry: %v", i, err)
		}
	}
}
