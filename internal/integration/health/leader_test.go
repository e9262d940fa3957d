package health

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/surety-go/surety/auditlog"
	"github.com/surety-go/surety/auditlog/auditlogtest"
	"github.com/surety-go/surety/controls"
	"github.com/surety-go/surety/health/leader"
	"github.com/surety-go/surety/internal/integration/servers"
	"github.com/surety-go/surety/internal/sqldb"
)

var elections = servers.Schema{Migrate: leader.Migrate, Tables: sqldb.Tables{ReadWrite: leader.Tables()}}

func elector(t *testing.T, pool *sql.DB, rec auditlog.Recorder, lease time.Duration) *leader.Elector {
	t.Helper()
	e, err := leader.New(t.Context(), pool, "operator", "test", rec, leader.Options{Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Many candidates, of which whoever leads gives up soon: never do two lead at
// once, and tokens only grow.
func TestOneLeads(t *testing.T) {
	elections.Each(t, func(t *testing.T, open func(testing.TB) *sql.DB) {
		pool, rec := open(t), &auditlogtest.Recorder{}
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		var leading atomic.Int32
		var mu sync.Mutex
		var tokens []int64
		lead := func(ctx context.Context, token int64) error {
			if n := leading.Add(1); n != 1 {
				t.Errorf("%d lead at once", n)
			}
			defer leading.Add(-1)
			mu.Lock()
			tokens = append(tokens, token)
			n := len(tokens)
			mu.Unlock()
			if n >= 12 {
				cancel()
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
			return nil
		}
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				e := elector(t, pool, rec, 400*time.Millisecond)
				for ctx.Err() == nil {
					if err := e.Run(ctx, lead); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if len(tokens) < 12 {
			t.Fatalf("%d terms", len(tokens))
		}
		for i := range tokens[1:] {
			if tokens[i+1] <= tokens[i] {
				t.Errorf("token %d after %d", tokens[i+1], tokens[i])
			}
		}
		if began, ended := len(rec.Find("health.leader.acquire")), len(rec.Find("health.leader.resign")); began < 12 || began != ended {
			t.Errorf("%d terms are on record, and %d ends", began, ended)
		}
	})
}

// The split brain of leases without fencing: a leader that was asleep for longer
// than its lease writes as if nothing had happened. The database refuses it,
// in a transaction of whatever tenant.
func TestAFormerLeaderIsFenced(t *testing.T) {
	elections.Each(t, func(t *testing.T, open func(testing.TB) *sql.DB) {
		pool, rec := open(t), &auditlogtest.Recorder{}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		first, second := elector(t, pool, rec, time.Second), elector(t, pool, rec, time.Second)
		terms := make(chan int64, 1)
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		all.Go(func() {
			_ = first.Run(ctx, func(ctx context.Context, token int64) error {
				terms <- token
				<-ctx.Done()
				return nil
			})
		})
		old := <-terms
		if err := fence(t, first, pool, old); err != nil {
			t.Fatalf("the leader: %v", err)
		}
		if r := first.Controls()[0].Run(t.Context()); r.State != controls.Pass {
			t.Errorf("%v %s", r.State, r.Observed)
		}
		expire(t, pool) // as if the first had slept
		all.Go(func() {
			_ = second.Run(ctx, func(ctx context.Context, token int64) error {
				terms <- token
				<-ctx.Done()
				return nil
			})
		})
		newer := <-terms
		if newer <= old {
			t.Errorf("token %d after %d", newer, old)
		}
		if err := fence(t, first, pool, old); !errors.Is(err, leader.ErrFenced) {
			t.Errorf("the former leader: %v", err)
		}
		if err := fence(t, second, pool, newer); err != nil {
			t.Errorf("the present one: %v", err)
		}
		rec.Want(t, "health.leader.fence", auditlog.Denied)
	})
}

// fence begins a transaction of another tenant and asks whether it may write.
func fence(t *testing.T, e *leader.Elector, pool *sql.DB, token int64) error {
	t.Helper()
	tx, err := pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}()
	return e.Fence(t.Context(), tx, token)
}

// expire ends the lease, as time would.
func expire(t *testing.T, pool *sql.DB) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Tx(t.Context(), "operator", func(tx *sqldb.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE health_leader SET expires = 0 WHERE tenant = 'operator'`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// A token is not given twice, even if somebody removes the row.
func TestTokensGrowWithoutTheRow(t *testing.T) {
	elections.Each(t, func(t *testing.T, open func(testing.TB) *sql.DB) {
		pool := open(t)
		last := int64(0)
		for range 3 {
			e := elector(t, pool, &auditlogtest.Recorder{}, time.Second)
			if err := e.Run(t.Context(), func(_ context.Context, token int64) error {
				if token <= last {
					t.Errorf("token %d after %d", token, last)
				}
				last = token
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if err := fence(t, e, pool, last+1); !errors.Is(err, leader.ErrFenced) {
				t.Errorf("a token of the future: %v", err)
			}
			db, err := sqldb.Open(t.Context(), pool)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Tx(t.Context(), "operator", func(tx *sqldb.Tx) error {
				_, err := tx.Exec(t.Context(), `DELETE FROM health_leader`)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if err := fence(t, e, pool, last); !errors.Is(err, leader.ErrFenced) {
				t.Errorf("without a row: %v", err)
			}
		}
	})
}

// Without its database a leader stops before its lease ends, and nobody leads.
func TestALeaderWithoutItsDatabaseStops(t *testing.T) {
	pool := elections.SQLite(t)
	rec := &auditlogtest.Recorder{}
	e := elector(t, pool, rec, 600*time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := e.Run(ctx, func(leading context.Context, _ int64) error {
		begun := time.Now()
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
		<-leading.Done()
		if !errors.Is(context.Cause(leading), leader.ErrLost) || time.Since(begun) > 15*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), context.Cause(leading))
		}
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	rec.Want(t, "health.leader.lose", auditlog.Failed)
	if e.Token() != 0 {
		t.Error("it thinks it leads")
	}
	if r := e.Controls()[0].Run(t.Context()); r.State == controls.Pass {
		t.Errorf("%s", r.Observed)
	}
}

// Nobody leads without a trace.
func TestWithoutARecordNobodyLeads(t *testing.T) {
	rec := &auditlogtest.Recorder{}
	rec.FailWith(errors.New("disk full"))
	e := elector(t, elections.SQLite(t), rec, time.Second)
	err := e.Run(t.Context(), func(context.Context, int64) error {
		t.Error("it leads")
		return nil
	})
	if err == nil {
		t.Error("no error")
	}
}

func TestMain(m *testing.M) {
	if path := os.Getenv(leaderEnv); path != "" {
		leaderChild(path)
	}
	os.Exit(m.Run())
}

const leaderEnv = "SURETY_TEST_LEADER"

// leaderChild leads and writes its token again and again, each time fenced,
// until it is refused.
func leaderChild(path string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("ERROR", err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	pool, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate")
	fail(err)
	e, err := leader.New(ctx, pool, "operator", "test", &auditlogtest.Recorder{}, leader.Options{Lease: time.Second})
	fail(err)
	fail(e.Run(ctx, func(_ context.Context, token int64) error { // as one that heeds no context
		for {
			tx, err := pool.BeginTx(ctx, nil)
			fail(err)
			if err := e.Fence(ctx, tx, token); err != nil {
				fmt.Println("FENCED", errors.Is(err, leader.ErrFenced))
				os.Exit(0)
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO written (token) VALUES (?)`, token)
			fail(errors.Join(err, tx.Commit()))
			fmt.Println("WROTE", token)
		}
	}))
}

// shiftPause wakes a stopped process for a moment now and then: it may have been
// stopped while it held the database, in which case nobody can lead.
func shiftPause(p *os.Process, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(1500 * time.Millisecond):
		}
		_ = p.Signal(syscall.SIGCONT)
		time.Sleep(time.Millisecond)
		_ = p.Signal(syscall.SIGSTOP)
	}
}

// A real process leads, is stopped in the middle of its work for longer than
// its lease, and goes on: nothing of it is written after the next leader began.
func TestAPausedProcessIsFenced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	pool, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := leader.Migrate(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.ExecContext(t.Context(), `CREATE TABLE written (n INTEGER PRIMARY KEY, token INTEGER NOT NULL)`); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), leaderEnv+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }() // it may have ended
	lines := bufio.NewScanner(out)
	wrote := func(line string) (int64, bool) {
		token, ok := strings.CutPrefix(line, "WROTE ")
		n, err := strconv.ParseInt(token, 10, 64)
		return n, ok && err == nil
	}
	var old int64
	for n := 0; n < 20 && lines.Scan(); n++ {
		token, ok := wrote(lines.Text())
		if !ok {
			t.Fatal(lines.Text())
		}
		old = token
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	awake := make(chan struct{})
	var waking sync.WaitGroup
	waking.Go(func() { shiftPause(cmd.Process, awake) })
	e := elector(t, pool, &auditlogtest.Recorder{}, time.Second)
	var mine int64
	err = e.Run(t.Context(), func(ctx context.Context, token int64) error {
		mine = token
		tx, err := pool.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := e.Fence(ctx, tx, token); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO written (token) VALUES (?)`, token); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	})
	close(awake)
	waking.Wait()
	if err != nil || mine <= old {
		t.Fatalf("token %d after %d: %v", mine, old, err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	fenced := false
	for lines.Scan() {
		fenced = fenced || lines.Text() == "FENCED true"
	}
	if err := cmd.Wait(); err != nil || !fenced {
		t.Errorf("the former leader was not refused: %v", err)
	}
	var after int
	if err := pool.QueryRowContext(t.Context(), `SELECT count(*) FROM written WHERE token < ? AND n > (SELECT min(n) FROM written WHERE token = ?)`, mine, mine).Scan(&after); err != nil || after != 0 {
		t.Errorf("%d rows of the former leader after the new one's: %v", after, err)
	}
}
