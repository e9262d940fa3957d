package main

import (
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"k8s.io/klog/v2"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/verify"
)

// auditLog asks what it costs to have an event on the disk, and to check that
// it is still there.
func auditLog() Group {
	return Group{
		Name:  "auditlog",
		Title: "Recording and verifying audit events",
		Note: "Ours starts from an Event with one personal attribute: sealing, canonical JSON, hashing, the tree and its tiles are included. " +
			"The floors write 512 bytes into a prewritten file and call fdatasync, shared by the callers that wait.",
		Cases: []Case{
			{Name: "durable, 256 callers", Rows: []Row{
				{Floor, "prewritten file, group commit", func(b *testing.B) { floorCommit(b, 256) }},
				{Peer, "one fdatasync for each event", func(b *testing.B) { syncEach(b, 256) }},
				{Peer, "Tessera, POSIX, batches of 2 ms", func(b *testing.B) { tesseraAdds(b, 256) }},
				{Ours, "auditlog.Log", func(b *testing.B) { logEvents(b, 256, auditlog.Durable) }},
			}},
			{Name: "durable, one caller", Rows: []Row{
				{Floor, "write and fdatasync", func(b *testing.B) { syncEach(b, 1) }},
				{Ours, "auditlog.Log", func(b *testing.B) { logEvents(b, 1, auditlog.Durable) }},
			}},
			{Name: "asynchronous, one caller", Rows: []Row{
				{Floor, "hash and copy 512 B", floorAsync},
				{Ours, "auditlog.Log", func(b *testing.B) { logEvents(b, 1, auditlog.Async) }},
			}},
			{Name: "verify, one core", Rows: []Row{
				{Floor, "SHA-256 of 512 B", floorVerify},
				{Ours, "verify.Dir, tiles, per event", func(b *testing.B) { verifyEvents(b, false) }},
				{Ours, "verify.Dir, tiles and segments, per event", func(b *testing.B) { verifyEvents(b, true) }},
			}},
		},
	}
}

const eventBytes = 512

func tempDir(b *testing.B) string {
	dir, err := os.MkdirTemp(".", "bench-") // not /tmp, which may be in memory
	check(err)
	b.Cleanup(func() { check(os.RemoveAll(dir)) })
	return dir
}

// prewritten is a file whose blocks are on the disk.
func prewritten(b *testing.B) *os.File {
	f, err := os.Create(filepath.Join(tempDir(b), "file"))
	check(err)
	b.Cleanup(func() { check(f.Close()) })
	_, err = f.Write(make([]byte, 64<<20))
	check(err)
	check(f.Sync())
	return f
}

// parallel runs do with n callers.
func parallel(b *testing.B, n int, do func()) {
	b.ResetTimer()
	if n == 1 {
		for b.Loop() {
			do()
		}
		return
	}
	var wg sync.WaitGroup
	for i := range n {
		share := b.N / n
		if i < b.N%n {
			share++
		}
		wg.Go(func() {
			for range share {
				do()
			}
		})
	}
	wg.Wait()
}

// floorCommit shares a sync among the callers that wait, and does no more.
func floorCommit(b *testing.B, callers int) {
	f, record := prewritten(b), random(eventBytes)
	var mu sync.Mutex
	wake, done, buf := make(chan struct{}, 1), make(chan struct{}), []byte(nil)
	end := make(chan struct{})
	defer close(end)
	go func() {
		for offset := int64(0); ; {
			select {
			case <-wake:
			case <-end:
				return
			}
			mu.Lock()
			batch, ready := buf, done
			buf, done = nil, make(chan struct{})
			mu.Unlock()
			if offset+int64(len(batch)) > 64<<20 {
				offset = 0
			}
			_, err := f.WriteAt(batch, offset)
			check(err)
			check(syscall.Fdatasync(int(f.Fd())))
			offset += int64(len(batch))
			close(ready)
		}
	}()
	parallel(b, callers, func() {
		mu.Lock()
		buf = append(buf, record...)
		ready := done
		mu.Unlock()
		select {
		case wake <- struct{}{}:
		default:
		}
		<-ready
	})
	b.StopTimer()
}

func syncEach(b *testing.B, callers int) {
	f, record := prewritten(b), random(eventBytes)
	var mu sync.Mutex
	offset := int64(0)
	parallel(b, callers, func() {
		mu.Lock()
		defer mu.Unlock()
		_, err := f.WriteAt(record, offset%(64<<20))
		check(err)
		check(syscall.Fdatasync(int(f.Fd())))
		offset += eventBytes
	})
	b.StopTimer()
}

// tesseraAdds gives Tessera entries of 512 bytes and waits for their places.
func tesseraAdds(b *testing.B, callers int) {
	klog.LogToStderr(false) // it tells of each new log
	klog.SetOutput(io.Discard)
	dir, ctx := tempDir(b), context.Background()
	signer, _, err := auditlog.NewKeyFile(filepath.Join(dir, "key"), "example.org/bench")
	check(err)
	driver, err := posix.New(ctx, posix.Config{Path: filepath.Join(dir, "log")})
	check(err)
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().WithCheckpointSigner(signer).
		WithBatching(256, 2*time.Millisecond).WithCheckpointInterval(time.Second))
	check(err)
	b.Cleanup(func() { check(shutdown(ctx)) })
	parallel(b, callers, func() {
		_, err := appender.Add(ctx, tessera.NewEntry(random(eventBytes)))()
		check(err)
	})
	b.StopTimer()
}

// benchSealer seals under one key: what the keys cost is another group's.
type benchSealer struct{ aead cipher.AEAD }

func (s benchSealer) SealPersonal(_ context.Context, tenant, subject, key string, value []byte) ([]byte, error) {
	return s.aead.Seal(nil, nil, value, []byte(tenant+subject+key)), nil
}

// benchEvent is one of about 512 bytes in the log.
func benchEvent() auditlog.Event {
	return auditlog.Event{
		Action: "records.update", Outcome: auditlog.Success, Tenant: "acme",
		Actor:   auditlog.Actor{ID: "u-0123456789", Tenant: "acme", Kind: auditlog.User},
		Targets: []auditlog.Target{{Type: "record", ID: "r-0123456789"}},
		Attrs: []auditlog.Attr{
			auditlog.String("operation", "PATCH /records/{id}"), auditlog.Int("status", 200),
			auditlog.String("pad", strings.Repeat("x", 60)), auditlog.Personal("u-1", "mail", "alice@example.org"),
		},
	}
}

func openBenchLog(b *testing.B, dir string) (*auditlog.Log, string) {
	signer, key, err := auditlog.NewKeyFile(filepath.Join(dir, "key"), "example.org/bench")
	check(err)
	l, err := auditlog.Open(filepath.Join(dir, "log"), signer, auditlog.Options{})
	check(err)
	b.Cleanup(func() { check(l.Close()) })
	return l, key
}

func logEvents(b *testing.B, callers int, ack auditlog.Ack) {
	l, _ := openBenchLog(b, tempDir(b))
	sealer := benchSealer{newFloor()}
	ctx, ev := context.Background(), benchEvent()
	parallel(b, callers, func() {
		sealed, err := auditlog.Seal(ctx, sealer, ev)
		check(err)
		_, err = l.Append(ctx, sealed, ack)
		check(err)
	})
	b.StopTimer()
}

func floorAsync(b *testing.B) {
	record, buf := random(eventBytes), make([]byte, 0, 4<<20)
	for b.Loop() {
		sum := sha256.Sum256(record)
		if len(buf)+eventBytes > cap(buf) {
			buf = buf[:0]
		}
		buf = append(buf, record...)
		buf[len(buf)-1] = sum[0]
	}
}

func floorVerify(b *testing.B) {
	record := random(eventBytes)
	for b.Loop() {
		sum := sha256.Sum256(record)
		record[0] = sum[0]
	}
}

// verifyEvents checks a copy of a log as others get it, the tiles, or one of the
// whole directory.
func verifyEvents(b *testing.B, segments bool) {
	dir := tempDir(b)
	l, key := openBenchLog(b, dir)
	ctx, ev := context.Background(), benchEvent()
	sealed, err := auditlog.Seal(ctx, benchSealer{newFloor()}, ev)
	check(err)
	const events = 50_000
	for range events {
		_, err := l.Append(ctx, sealed, auditlog.Async)
		check(err)
	}
	_, err = l.Publish(ctx)
	check(err)
	copied := filepath.Join(dir, "copy")
	check(os.CopyFS(copied, os.DirFS(filepath.Join(dir, "log"))))
	if !segments {
		check(os.RemoveAll(filepath.Join(copied, "segments")))
	}
	b.ResetTimer()
	for done := 0; done < b.N; done += events {
		r, err := verify.Dir(ctx, copied, verify.Policy{Key: key}, nil)
		check(err)
		if !r.OK() {
			panic(r.Verdict())
		}
	}
	b.StopTimer()
}
