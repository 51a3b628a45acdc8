//go:build !js

package transport

import (
	"strconv"
	"strings"
	"testing"
)

func FuzzA43Origin(f *testing.F) {
	for _, seed := range []string{"https://app.example.com", "HTTP://EXAMPLE.com:80", "http://[::1]:8080", "null", "https://a@b", "https://%41", "A://%80", "a://b:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		origin, ok := parseOrigin(s)
		if !ok {
			return
		}
		if again, ok := parseOrigin(origin); !ok || again != origin {
			t.Fatalf("%q gives %q, and that %q, %v", s, origin, again, ok)
		}
		if strings.ContainsAny(origin, "@?# \n\x1b") || strings.Count(origin, "/") != 2 {
			t.Fatalf("%q gives %q", s, origin)
		}
	})
}

func FuzzA48Target(f *testing.F) {
	for _, seed := range []string{"wss://example.com/path?token=s3cr3t", "ws://user:pw@host", "http://[::1]:80", "://", "ws://h#f", "ws://a\x1b[2J"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := parseTarget(raw)
		text := ""
		if err != nil {
			text = err.Error()
		} else {
			text = safeTarget(u)
			if u.Scheme != "ws" && u.Scheme != "wss" || u.User != nil || u.Fragment != "" {
				t.Fatalf("%q gives %+v", raw, u)
			}
		}
		for _, r := range text {
			if !strconv.IsPrint(r) {
				t.Fatalf("%q is shown as %q", raw, text)
			}
		}
	})
}
