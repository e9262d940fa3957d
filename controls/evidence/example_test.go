package evidence_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/controls/catalogue"
	"github.com/surety-go/surety/controls/evidence"
	"github.com/surety-go/surety/controls/findings"
	"github.com/surety-go/surety/controls/monitor"
)

// An operator exports a period; an auditor checks the file with the operator's
// public key.
func Example() {
	ctx := context.Background()
	log := auditlog.RecorderFunc(func(context.Context, auditlog.Event) error { return nil })
	cat, _ := catalogue.Default()
	tracker, _ := findings.New(findings.NewMemory(), log, cat.Owner, findings.Options{})
	m, _ := monitor.New(cat, log, monitor.Options{Findings: tracker})
	from := time.Now()
	if err := m.Start(); err != nil {
		panic(err)
	}
	defer m.Close()
	if _, err := m.Run(ctx); err != nil {
		panic(err)
	}

	sources := evidence.Sources{System: "records", Catalogue: cat, Monitor: m, Findings: tracker}
	content, err := evidence.Collect(ctx, sources, from, time.Now())
	if err != nil {
		panic(err)
	}
	public, private, _ := ed25519.GenerateKey(nil)
	var file bytes.Buffer
	if _, err := evidence.Write(&file, content, private); err != nil {
		panic(err)
	}

	bundle, err := evidence.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		panic(err)
	}
	verdict := bundle.Check(public, evidence.CheckOptions{})
	fmt.Println(verdict.Intact(), len(verdict.Problems))
	// Output: true 0
}
