package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/surety-go/surety/auditlog"
)

// lines writes a batch as lines of JSON.
func lines(batch []auditlog.Indexed) ([]byte, error) {
	var buf []byte
	for i := range batch {
		buf = fmt.Appendf(buf, `{"index":%d,"entry":`, batch[i].Index)
		b, err := batch[i].AppendJSON(buf)
		if err != nil {
			return nil, err
		}
		buf = append(b, "}\n"...)
	}
	return buf, nil
}

// JSONLines is a sink that appends {"index":…,"entry":…} lines to a file and
// syncs it.
func JSONLines(path string) Sink { return jsonLines(path) }

type jsonLines string

func (j jsonLines) Name() string { return "jsonl" }

func (j jsonLines) Send(_ context.Context, batch []auditlog.Indexed) error {
	b, err := lines(batch)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(string(j), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	before, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		if _, err = f.Write(b); err != nil {
			err = errors.Join(err, f.Truncate(before)) // no half line before the batch comes again
		}
	}
	return errors.Join(err, f.Sync(), f.Close())
}
