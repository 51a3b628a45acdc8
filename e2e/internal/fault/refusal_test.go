package fault_test

import (
	"bytes"
	"testing"

	"github.com/hopseal/hopseal/e2e/internal/fault"
)

// A32: any bytes are refused as a refusal, or stand for one error that is written so.
func FuzzA32Refusal(f *testing.F) {
	for _, b := range []string{"", "\x00\x01", "\x00\x05", "\x00\x06\x01\x02text", "\x00\x06\x01", "\x00\x07", "\x00\x01x"} {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err, ok := fault.ParseRefusal(7, body)
		if !ok {
			return
		}
		if again := written(err); !bytes.Equal(again, body) {
			t.Fatalf("%x became %v, which is %x", body, err, again)
		}
	})
}

// written returns the body that stands for an error.
func written(err error) []byte {
	if reply, ok := err.(*fault.ReplyError); ok {
		return fault.AppendRefusal(nil, fault.RefusedFailed, reply)
	}
	return fault.AppendRefusal(nil, err.(*fault.RefusedError).Reason, nil)
}
