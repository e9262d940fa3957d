package sink

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/surety-go/surety/auditlog"
)

// OTLP is a sink that posts batches as OpenTelemetry log records in the JSON
// encoding of OTLP/HTTP 1.x, compressed with gzip. A record has
//
//	timeUnixNano, traceId, spanId  of the entry
//	eventName                      the action
//	severityNumber                 INFO for success, WARN for denied, ERROR for failed
//	body                           the entry's canonical JSON, as a string
//	attributes                     log.record.uid, the entry's id, by which a
//	                               receiver drops what comes twice; audit.index,
//	                               audit.outcome, audit.actor.kind, audit.actor.id,
//	                               audit.tenant and audit.reason
//
// OTLP lets a client drop what a receiver refuses. This one does not: a refused
// batch comes again, ever more slowly, and the control fails meanwhile. What a
// receiver takes only in part must not be sent again; how much of it was
// rejected is counted, and the control fails from then on.
type OTLP struct {
	*poster
	resource []otlpAttr
	rejected atomic.Uint64
}

// NewOTLP returns a sink for the URL of a receiver's log signal, such as
// "https://otel.example:4318/v1/logs". service is the resource's service.name.
func NewOTLP(to, service string, o HTTPOptions) (*OTLP, error) {
	if service == "" {
		return nil, errors.New("sink: want a service name")
	}
	p, err := newPoster(to, o)
	if err != nil {
		return nil, err
	}
	return &OTLP{poster: p, resource: []otlpAttr{otlpText("service.name", service)}}, nil
}

// Name is "otlp".
func (*OTLP) Name() string { return "otlp" }

// Close closes idle connections.
func (s *OTLP) Close() { s.http.Close() }

// Rejected is how many entries the receiver said it rejected.
func (s *OTLP) Rejected() uint64 { return s.rejected.Load() }

// The members of an ExportLogsServiceRequest that are used. 64-bit numbers are
// strings, and trace and span ids hexadecimal, as OTLP's JSON has them.
type otlpRequest struct {
	ResourceLogs [1]otlpResourceLogs `json:"resourceLogs"`
}

type otlpResourceLogs struct {
	Resource  otlpResource     `json:"resource"`
	ScopeLogs [1]otlpScopeLogs `json:"scopeLogs"`
}

type otlpResource struct {
	Attributes []otlpAttr `json:"attributes"`
}

type otlpScopeLogs struct {
	Scope      otlpScope    `json:"scope"`
	LogRecords []otlpRecord `json:"logRecords"`
}

type otlpScope struct {
	Name string `json:"name"`
}

type otlpRecord struct {
	Time       string     `json:"timeUnixNano"`
	Observed   string     `json:"observedTimeUnixNano"`
	Severity   int        `json:"severityNumber"`
	Level      string     `json:"severityText"`
	EventName  string     `json:"eventName"`
	Body       otlpValue  `json:"body"`
	Attributes []otlpAttr `json:"attributes"`
	TraceID    string     `json:"traceId,omitempty"`
	SpanID     string     `json:"spanId,omitempty"`
}

type otlpAttr struct {
	Key   string    `json:"key"`
	Value otlpValue `json:"value"`
}

type otlpValue struct {
	String *string `json:"stringValue,omitempty"`
	Int    *string `json:"intValue,omitempty"`
}

func otlpText(key, value string) otlpAttr { return otlpAttr{key, otlpValue{String: &value}} }

// severities are OTLP's numbers and texts by outcome.
var severities = map[auditlog.Outcome]struct {
	number int
	text   string
}{auditlog.Success: {9, "INFO"}, auditlog.Denied: {13, "WARN"}, auditlog.Failed: {17, "ERROR"}}

// Send posts a batch.
func (s *OTLP) Send(ctx context.Context, batch []auditlog.Indexed) error {
	body, err := s.encode(batch, time.Now())
	if err != nil {
		return err
	}
	answer, err := s.post(ctx, body, http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}})
	if err != nil {
		return err
	}
	s.read(answer)
	return nil
}

// read takes note of a partial success. An answer in Protobuf, which a
// receiver might give to a request in JSON, can't tell of one.
func (s *OTLP) read(answer []byte) {
	var response struct {
		PartialSuccess struct{ RejectedLogRecords json.RawMessage }
	}
	if len(answer) == 0 || json.Unmarshal(answer, &response) != nil {
		return
	}
	n := strings.Trim(string(response.PartialSuccess.RejectedLogRecords), `"`)
	if rejected, err := strconv.ParseUint(n, 10, 63); err == nil {
		s.rejected.Add(rejected)
	}
}

func (s *OTLP) encode(batch []auditlog.Indexed, now time.Time) ([]byte, error) {
	records := make([]otlpRecord, len(batch))
	for i := range batch {
		var err error
		if records[i], err = otlpRecordOf(&batch[i], now); err != nil {
			return nil, err
		}
	}
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	err := json.NewEncoder(z).Encode(otlpRequest{[1]otlpResourceLogs{{
		Resource:  otlpResource{s.resource},
		ScopeLogs: [1]otlpScopeLogs{{otlpScope{"github.com/surety-go/surety/auditlog"}, records}},
	}}})
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("sink: encode: %w", err)
	}
	return buf.Bytes(), nil
}

func otlpRecordOf(e *auditlog.Indexed, now time.Time) (otlpRecord, error) {
	b, err := e.AppendJSON(nil)
	if err != nil {
		return otlpRecord{}, err
	}
	text, index := string(b), strconv.FormatUint(e.Index, 10)
	severity := severities[e.Outcome]
	r := otlpRecord{
		Time: strconv.FormatInt(e.Time.UnixNano(), 10), Observed: strconv.FormatInt(now.UnixNano(), 10),
		Severity: severity.number, Level: severity.text, EventName: e.Action,
		Body: otlpValue{String: &text}, TraceID: e.Trace, SpanID: e.Span,
		Attributes: []otlpAttr{otlpText("log.record.uid", e.ID.String()), {"audit.index", otlpValue{Int: &index}}},
	}
	for _, a := range [...]struct{ key, value string }{
		{"audit.outcome", e.Outcome.String()},
		{"audit.actor.kind", e.Actor.Kind.String()},
		{"audit.actor.id", e.Actor.ID},
		{"audit.tenant", e.Tenant},
		{"audit.reason", e.Reason},
	} {
		if a.value != "" {
			r.Attributes = append(r.Attributes, otlpText(a.key, a.value))
		}
	}
	return r, nil
}
