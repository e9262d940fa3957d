package textsafe

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCSV(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain": "plain", "a=b": "a=b", "-1.5": "-1.5", "12": "12", "007": "007", "1.": "1.", "Ünal": "Ünal", "'quoted": "'quoted",
		"=1+1": "'=1+1", "+1": "'+1", "-1+1": "'-1+1", "@SUM(A1)": "'@SUM(A1)", "|cmd": "'|cmd", "%0a": "'%0a", "-": "'-", "-.5": "'-.5", "--1": "'--1",
		// What spreadsheets skip before a formula.
		"\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1", " =1": "' =1", "\u00a0=1": "'\u00a0=1", "\u3000=1": "'\u3000=1",
		"\ufeff=1": "'\ufeff=1", "\u200b=1": "'\u200b=1", "\x00=1": "'\x00=1", "\x1f\u2028=1": "'\x1f\u2028=1", " a": "' a",
		// Characters that Japanese and other editions take for ours.
		"\uff1d1": "'\uff1d1", "\uff0b1": "'\uff0b1", "\uff201": "'\uff201", "\u22121": "'\u22121", "\ufe63a": "'\ufe63a",
		"   ": "   ", "\xff=1": "\xff=1",
	} {
		if got := CSV(in); got != want {
			t.Errorf("CSV(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "ok\tü\n": "ok\tü\n", "کتاب\u200cخانه": "کتاب\u200cخانه", "👩\u200d💻": "👩\u200d💻", "soft space\u00a0": "soft space\u00a0",
		"\x1b[31mred\x1b[0m":             "�[31mred�[0m",
		"\x1b]0;title\x07":               "�]0;title�", // sets the window's title
		"a\rb\bc\vd\fe\x00f\x7f":         "a�b�c�d�e�f�",
		"\u009b31m":                      "�31m", // CSI as one character
		"\x9b31m":                        "�31m", // and as one byte, which is no UTF-8
		"\u202egpj.exe":                  "�gpj.exe",
		"\u200e\u200f\u061c\u2066\u2069": "�����",
		"one\u2028two\u2029":             "one�two�",
		"pay\u200bpal\ufeff\u00ad":       "pay�pal��",
		"\U000e0041\U000e0042":           "��", // tags: invisible letters
		"\xc3":                           "�",
	} {
		if got := Terminal(in); got != want {
			t.Errorf("Terminal(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("=1")
	f.Add(" \u200b-1")
	f.Add("-1")
	f.Fuzz(func(t *testing.T, in string) {
		got := CSV(in)
		if got != in && got != "'"+in {
			t.Fatalf("%q became %q", in, got)
		}
		if CSV(got) != got {
			t.Fatalf("%q is not settled", got)
		}
		if first, _ := utf8.DecodeRuneInString(got); strings.ContainsRune("=+@|%", first) {
			t.Fatalf("%q begins a formula", got)
		}
	})
}

func FuzzTerminal(f *testing.F) {
	f.Add("\x1b[31m\x9b\u202e")
	f.Fuzz(func(t *testing.T, in string) {
		got := Terminal(in)
		if Terminal(got) != got || !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\x07\r\x7f\u009b\u202e\u2028") {
			t.Fatalf("%q became %q", in, got)
		}
		if utf8.RuneCountInString(got) != utf8.RuneCountInString(in) {
			t.Fatalf("%q became %q: something was left out", in, got)
		}
	})
}
