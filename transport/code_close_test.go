package transport_test

import (
	"strings"
	"testing"

	"github.com/hopseal/hopseal/transport"
)

func TestCloseMessages(t *testing.T) {
	for code := range transport.Code(5100) {
		closed, ok := transport.ParseClose(transport.AppendClose(nil, code, "why"))
		if !ok || closed.Reason != "why" || !closed.Remote || closed.Err != nil {
			t.Fatalf("%d: %+v, %v", code, closed, ok)
		}
		sendable := code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006 || code >= 3000 && code <= 4999
		switch mapped := code > 4900 && code <= 4914; {
		case mapped && closed.Code != code-3900, sendable && !mapped && closed.Code != code, !sendable && closed.Code != transport.CodeInternal:
			t.Errorf("%d became %d", code, closed.Code)
		}
		if _, ok := transport.ParseClose([]byte{byte(code >> 8), byte(code)}); ok != sendable {
			t.Errorf("%d: taken is %v", code, ok)
		}
	}
	if b := transport.AppendClose([]byte("head"), 1000, strings.Repeat("é", 100)); len(b) != 4+2+122 || string(b[:4]) != "head" {
		t.Errorf("%d bytes: %q", len(b), b)
	}
	if closed, ok := transport.ParseClose(nil); !ok || closed.Code != transport.CodeNoStatus {
		t.Errorf("nothing: %+v, %v", closed, ok)
	}
	for name, body := range map[string]string{
		"one byte": "\x03", "no UTF-8": "\x03\xe8\xff", "too long": "\x03\xe8" + strings.Repeat("x", 124),
	} {
		if closed, ok := transport.ParseClose([]byte(body)); ok {
			t.Errorf("%s: %+v", name, closed)
		}
	}
}
