package strict

import (
	"bytes"
	"strings"
	"testing"
)

func TestNextTellsHeadFromValue(t *testing.T) {
	for name, c := range map[string]struct {
		b           []byte
		head, value int
	}{
		"nil":          {AppendNil(nil), 1, 0},
		"array":        {AppendNil(AppendArray(nil, 1)), 1, 0},
		"array of 16":  {append(AppendArray(nil, 16), make([]byte, 16)...), 3, 0},
		"0":            {AppendUint(nil, 0), 0, 1},
		"127":          {AppendUint(nil, 127), 0, 1},
		"128":          {AppendUint(nil, 128), 1, 1},
		"2^16-1":       {AppendUint(nil, 1<<16-1), 1, 2},
		"2^16":         {AppendUint(nil, 1<<16), 1, 4},
		"2^32":         {AppendUint(nil, 1<<32), 1, 8},
		"no text":      {AppendStr(nil, ""), 1, 0},
		"text":         {AppendStr(nil, "text"), 1, 4},
		"32 of text":   {AppendStr(nil, strings.Repeat("x", 32)), 2, 32},
		"256 of text":  {AppendStr(nil, strings.Repeat("x", 256)), 3, 256},
		"no bytes":     {AppendBin(nil, nil), 2, 0},
		"bytes":        {AppendBin(nil, make([]byte, 255)), 2, 255},
		"256 bytes":    {AppendBin(nil, make([]byte, 256)), 3, 256},
		"65,536 bytes": {AppendBin(nil, make([]byte, 1<<16)), 5, 1 << 16},
	} {
		r := NewReader(append(bytes.Clone(c.b), "behind"...))
		head, value := r.Next()
		if head != c.head || value != c.value || r.Failed() {
			t.Errorf("%s: %d and %d, want %d and %d", name, head, value, c.head, c.value)
		}
	}
}

// A30: what has no type that structures use, or another form, is refused.
func TestA30NextRefuses(t *testing.T) {
	for _, b := range []string{"", "\xc1", "\xc2", "\x80", "\xff", "\xd0\xdf", "\xca\x00\x00\x00\x00", "\xd4\x01\x00",
		"\xcc\x05", "\xcc", "\xd9\x01x", "\xa1", "\xa1\xff", "\xc4\x01", "\xc5\x00\x01x", "\xc6\xff\xff\xff\xff", "\x91", "\xdc\x00\x01\xc0"} {
		r := NewReader([]byte(b))
		if head, value := r.Next(); head != 0 || value != 0 || !r.Failed() {
			t.Errorf("%x is read as %d and %d bytes", b, head, value)
		}
	}
}
