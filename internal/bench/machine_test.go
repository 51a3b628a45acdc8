package main

import (
	"strings"
	"testing"
)

func TestProcessor(t *testing.T) {
	for _, c := range []struct{ info, name, sha string }{
		{"", "unknown processor", "unknown"},
		{"processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: aes sha_ni avx\n\nprocessor\t: 1\nmodel name\t: other\nflags\t\t: aes\n", "AMD EPYC", "yes"},
		{"model name\t: Intel(R) Xeon(R) CPU @ 2.50GHz\nflags\t\t: aes avx2\n", "Intel(R) Xeon(R) CPU @ 2.50GHz", "no"},
		{"processor\t: 0\nFeatures\t: aes sha1 sha2 crc32\nCPU part\t: 0xd0c\n", "0xd0c", "yes"},
	} {
		if name, sha := processor(c.info); name != c.name || sha != c.sha {
			t.Errorf("%q: %q, %q", c.info, name, sha)
		}
	}
	m := thisMachine()
	if m.SHA256 <= 0 || !strings.Contains(m.String(), "SHA instructions: "+m.SHAInstructions) {
		t.Errorf("%s", m)
	}
}
