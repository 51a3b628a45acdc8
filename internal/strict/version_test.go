package strict

import "testing"

func TestVersion(t *testing.T) {
	for _, c := range []struct {
		b    string
		want uint64
		ok   bool
	}{
		{"\x95\x01", 1, true},
		{"\x9f\x02", 2, true}, // nothing of the rest has to be there
		{"\x92\xcd\x01\x00\xc0", 256, true},
		{"\x92\xc4\x03\x97\x07\xc0", 7, true},
		{"\x94\xa3key\x03", 3, true},
		{"", 0, false},
		{"\x95", 0, false},
		{"\x95\xcc\x01", 0, false}, // not the shortest form
		{"\x95\xff", 0, false},
		{"\x95\xc0", 0, false},
		{"\xdc\x00\x05\x01", 0, false},
		{"\x81\x01\x02", 0, false},
		{"\x92\xc4\x03\x97", 0, false}, // cut short
		{"\x92\xc4\x02\xc4\x01", 0, false},
		{"\x92\xc4\x01\x97", 0, false},
		{"\x94\xa3ke", 0, false},
	} {
		if got, ok := Version([]byte(c.b)); got != c.want && c.ok || ok != c.ok {
			t.Errorf("%x: %d, %v, want %d, %v", c.b, got, ok, c.want, c.ok)
		}
	}
}
