package service

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"text/template"
	"time"
)

// The registers of a company that runs this service. A real one keeps them as
// plain files under review; the demo writes dates relative to today, so that
// it does not go stale.
//
//go:embed registers
var registerFiles embed.FS

// seedRegisters writes the registers into dir unless they are there already:
// from then on they are the operator's to edit.
func seedRegisters(dir string, now time.Time) error {
	return fs.WalkDir(registerFiles, "registers", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel("registers", filepath.FromSlash(name))
		if err != nil {
			return err
		}
		target := filepath.Join(dir, rel)
		if _, err := os.Lstat(target); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		text, err := registerFiles.ReadFile(name)
		if err != nil {
			return err
		}
		if path.Ext(name) == ".yaml" {
			if text, err = fill(name, text, now); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o600)
	})
}

// fill writes a register's dates and the checksums of policy texts.
func fill(name string, text []byte, now time.Time) ([]byte, error) {
	t, err := template.New(name).Funcs(template.FuncMap{
		"day": func(offset int) string { return now.AddDate(0, 0, offset).Format(time.DateOnly) },
		"sha256": func(name string) (string, error) {
			b, err := registerFiles.ReadFile(path.Join("registers", name))
			sum := sha256.Sum256(b)
			return hex.EncodeToString(sum[:]), err
		},
	}).Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("records: register %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, nil); err != nil {
		return nil, fmt.Errorf("records: register %s: %w", name, err)
	}
	return b.Bytes(), nil
}
