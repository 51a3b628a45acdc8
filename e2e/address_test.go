package e2e

import "testing"

func TestAddressOf(t *testing.T) {
	for url, want := range map[string]string{
		"wss://Example.com":            "example.com:443",
		"https://example.com/":         "example.com:443",
		"ws://example.com":             "example.com:80",
		"http://example.com:8080/a/b/": "example.com:8080/a/b",
		"wss://example.com/a?token=x":  "example.com:443/a",
		"wss://[2001:DB8::1]/":         "[2001:db8::1]:443",
		"wss:///a":                     "",
		"::":                           "",
	} {
		got, err := addressOf(url)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v, want %q", url, got, err, want)
		}
	}
}
