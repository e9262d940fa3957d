package witness

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// sizeType is the content type of the size in a conflict (C2SP tlog-witness).
const sizeType = "text/x.tlog.size"

// A head is what a checkpoint states; its signatures are not checked here.
type head struct {
	origin string
	size   uint64
	root   [32]byte
	text   string
}

var errHead = errors.New("witness: not a checkpoint")

func parseHead(msg []byte) (h head, err error) {
	text, _, ok := strings.Cut(string(msg), "\n\n")
	lines := strings.Split(text, "\n")
	if !ok || len(lines) < 3 || lines[0] == "" {
		return head{}, errHead
	}
	size, err := parseSize(lines[1])
	if err != nil {
		return head{}, errHead
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != 32 {
		return head{}, errHead
	}
	return head{lines[0], size, [32]byte(root), text + "\n"}, nil
}

// parseSize reads a decimal without leading zeros.
func parseSize(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 62)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, errHead
	}
	return n, nil
}
