package textsafe

import (
	"strings"
	"testing"
)

func TestCSV(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain": "plain", "a=b": "a=b", "-1.5": "-1.5", "12": "12",
		"=1+1": "'=1+1", "+1": "'+1", "-1+1": "'-1+1", "@SUM(A1)": "'@SUM(A1)", "|cmd": "'|cmd",
		"\t=1": "'\t=1", " =1": "' =1", "\uff1d1": "'\uff1d1", "-": "'-", "1.": "1.",
	} {
		if got := CSV(in); got != want {
			t.Errorf("CSV(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTerminal(t *testing.T) {
	in := "ok\tü\n\x1b[31mred\x07\u202eevil\x9b\x7f"
	got := Terminal(in)
	if strings.ContainsAny(got, "\x1b\x07\u202e\x7f") || strings.ContainsRune(got, 0x9b) || !strings.HasPrefix(got, "ok\tü\n") {
		t.Errorf("Terminal(%q) = %q", in, got)
	}
}
