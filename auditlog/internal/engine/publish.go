package engine

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/surety-go/surety/auditlog/internal/merkle"
)

// A Checkpoint is a signed tree head (C2SP tlog-checkpoint).
type Checkpoint struct {
	Size uint64
	Root merkle.Hash
	Note []byte // the signed note
}

// A CheckpointStore remembers the last signed checkpoint outside the log's
// directory, so that a directory put back from a copy can't sign a second
// history.
type CheckpointStore interface {
	// Load returns the last checkpoint, or nothing.
	Load() ([]byte, error)
	// Swap replaces old by new, or fails if old is not what is stored.
	Swap(old, new []byte) error
}

// CheckpointText is the text of a checkpoint before it is signed.
func CheckpointText(origin string, size uint64, root merkle.Hash) string {
	return origin + "\n" + strconv.FormatUint(size, 10) + "\n" + base64.StdEncoding.EncodeToString(root[:]) + "\n"
}

// ParseCheckpoint reads a checkpoint without checking its signatures.
func ParseCheckpoint(msg []byte) (origin string, c Checkpoint, err error) {
	text, _, ok := strings.Cut(string(msg), "\n\n")
	lines := strings.Split(text, "\n")
	if !ok || len(lines) < 3 {
		return "", Checkpoint{}, errors.New("not a checkpoint")
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return "", Checkpoint{}, errors.New("checkpoint without a size")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != len(merkle.Hash{}) {
		return "", Checkpoint{}, errors.New("checkpoint without a root hash")
	}
	return lines[0], Checkpoint{Size: size, Root: merkle.Hash(root), Note: msg}, nil
}

// Published returns the last checkpoint; before the first one it is empty.
func (e *Engine) Published() Checkpoint {
	if c := e.published.Load(); c != nil {
		return *c
	}
	return Checkpoint{}
}

// PublishError returns why the last attempt to publish failed, or nil.
func (e *Engine) PublishError() error {
	e.pubMu.Lock()
	defer e.pubMu.Unlock()
	return e.pubErr
}

// WaitPublished returns the first checkpoint that covers size entries.
func (e *Engine) WaitPublished(ctx context.Context, size uint64) (Checkpoint, error) {
	for {
		e.pubMu.Lock()
		next := e.pubWait
		e.pubMu.Unlock()
		if c := e.Published(); c.Size >= size {
			return c, nil
		}
		if err := e.Err(); err != nil {
			return Checkpoint{}, err
		}
		signal(e.publish)
		select {
		case <-next:
			if err := e.PublishError(); err != nil && e.Published().Size < size {
				return Checkpoint{}, err
			}
		case <-e.stop:
			return Checkpoint{}, ErrClosed
		case <-ctx.Done():
			return Checkpoint{}, context.Cause(ctx)
		}
	}
}

// publishLoop builds tiles and signs checkpoints on a schedule and on demand.
func (e *Engine) publishLoop() {
	tick := time.NewTicker(e.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-e.publish:
		case <-tick.C:
		}
		err := e.publishNow()
		if err == nil && (len(e.tiles.dirty) >= e.cfg.syncAfter || e.syncSoon.Swap(false)) {
			err = e.syncTiles()
		}
		e.pubMu.Lock()
		if e.pubErr = err; err != nil {
			e.wakePublished() // to see the error
		}
		e.pubMu.Unlock()
	}
}

// publishNow brings the tiles to the committed size and signs it.
func (e *Engine) publishNow() error {
	if err := e.poisoned(); err != nil {
		return err
	}
	st := e.State()
	if last := e.published.Load(); last != nil && st.Size <= last.Size || st.Size == 0 {
		return nil
	}
	if err := e.buildTiles(st); err != nil {
		// Which of the files are whole is unknown: start from the last sync.
		return errors.Join(fmt.Errorf("auditlog: build tiles: %w", err), e.restoreTiles())
	}
	return e.signCheckpoint(st)
}

func (e *Engine) buildTiles(st State) error {
	e.tiles.seen = e.Published().Size
	err := e.Scan(e.tiles.size, st.Size, func(i uint64, payload []byte) error {
		if len(e.tiles.dirty) >= 8*e.cfg.syncAfter { // let segments be reused in a long run
			if err := e.syncTiles(); err != nil {
				return err
			}
		}
		leaf, ok := e.leaves.get(i)
		if !ok {
			leaf = merkle.Leaf(payload)
		}
		return e.tiles.add(payload, leaf)
	})
	if err != nil {
		return err
	}
	if err := e.tiles.writePartial(); err != nil {
		return err
	}
	e.leaves.forget(st.Size)
	if e.tiles.root() != st.Root {
		return fmt.Errorf("the tiles of size %d have another root than the log", st.Size)
	}
	return nil
}

// Countersign has all further checkpoints signed by a second key of the same
// origin too, with which the log can be opened from then on.
func (e *Engine) Countersign(next note.Signer) { e.next.Store(&next) }

// signCheckpoint signs a size that is committed and above the last one.
func (e *Engine) signCheckpoint(st State) error {
	text := CheckpointText(e.origin, st.Size, st.Root)
	signers := []note.Signer{e.cfg.Signer}
	if next := e.next.Load(); next != nil {
		signers = append(signers, *next)
	}
	msg, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		return fmt.Errorf("auditlog: sign checkpoint of size %d: %w", st.Size, err)
	}
	if e.cfg.Store != nil {
		if err := e.cfg.Store.Swap(e.Published().Note, msg); err != nil {
			return fmt.Errorf("auditlog: store checkpoint of size %d: %w", st.Size, err)
		}
	}
	c := Checkpoint{Size: st.Size, Root: st.Root, Note: msg}
	if err := replaceFile(e.fs, filepath.Join(e.dir, "checkpoint"), msg, true); err != nil {
		return fmt.Errorf("auditlog: write checkpoint of size %d: %w", st.Size, err)
	}
	e.published.Store(&c)
	e.pubMu.Lock()
	e.wakePublished()
	e.pubMu.Unlock()
	if e.cfg.OnPublish != nil {
		e.cfg.OnPublish(c)
	}
	return nil
}

// wakePublished wakes those who wait for a checkpoint; pubMu is held.
func (e *Engine) wakePublished() {
	close(e.pubWait)
	e.pubWait = make(chan struct{})
}

// syncTiles makes the tiles durable, after which segments can be reused.
func (e *Engine) syncTiles() error {
	size := e.tiles.size
	if size == e.synced.Load() && len(e.tiles.dirty) == 0 {
		return nil
	}
	if err := e.tiles.writePartial(); err != nil {
		return err
	}
	if err := e.tiles.sync(); err != nil {
		return fmt.Errorf("auditlog: sync tiles: %w", err)
	}
	name := filepath.Join(e.segmentDir(), "synced")
	if err := replaceFile(e.fs, name, []byte(strconv.FormatUint(size, 10)+"\n"), true); err != nil {
		return fmt.Errorf("auditlog: sync tiles: %w", err)
	}
	e.synced.Store(size)
	return nil
}

// restoreTiles puts the tiler back to the last size known to be synced.
func (e *Engine) restoreTiles() error {
	e.tiles = e.newTiler()
	e.bundled.Store(e.synced.Load())
	return e.tiles.load(e.synced.Load())
}

func (e *Engine) newTiler() *tiler {
	return &tiler{fs: e.fs, dir: e.dir, full: e.bundled.Store, made: make(map[string]bool)}
}
