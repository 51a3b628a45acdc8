//go:build unix

package sessionstore

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"
)

// TestWhatTheDiskDidNotConfirmIsWrittenAnew has the disk fail at each sync of each kind of write.
// Whoever saves the same again must not be told that it is stored, until it is written anew.
func TestWhatTheDiskDidNotConfirmIsWrittenAnew(t *testing.T) {
	failed := errors.New("input/output error")
	large := bytes.Repeat([]byte{1}, 3*slotGrain)
	for name, c := range map[string]struct {
		before int // values that there are
		value  []byte
		step   string // the sync behind it fails
		taken  bool   // the file has the new value then
	}{
		"first":           {0, []byte("v"), "renamed", true},
		"first, no file":  {0, []byte("v"), "written", false},
		"slots":           {1, []byte("v"), "renamed", true},
		"in place":        {2, []byte("v"), "slot written", true},
		"larger":          {3, large, "renamed", true},
		"larger, no file": {3, large, "written", false},
	} {
		d := newDir(t.TempDir())
		for i := range c.before {
			if ok, err := d.Put(t.Context(), "k", []byte{byte(i)}, uint64(i), time.Time{}); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		version, step, writes := uint64(c.before), "", 0
		d.wrote = func(s string) { step = s; writes++ }
		sync := d.flush
		d.flush = func(f *os.File) error {
			if step == c.step {
				return failed
			}
			return sync(f)
		}
		if _, err := d.Put(t.Context(), "k", c.value, version, time.Time{}); err == nil {
			t.Fatalf("%s: no error", name)
		}
		d.flush = func(*os.File) error { return failed }
		_, _, err := d.Get(t.Context(), "k")
		if c.taken != errors.Is(err, failed) {
			t.Errorf("%s: what may be gone after a power cut is there: %v", name, err)
		}
		d.flush = sync
		writes = 0
		value, now, err := d.Get(t.Context(), "k")
		if c.taken && (err != nil || now != version+1 || !bytes.Equal(value, c.value) || writes == 0) {
			t.Errorf("%s: version %d, %d bytes, %v, after %d steps", name, now, len(value), err, writes)
		}
		writes = 0
		if _, again, err := d.Get(t.Context(), "k"); again != now || err != nil || writes > 0 {
			t.Errorf("%s: version %d, %v, after %d steps", name, again, err, writes)
		}
		if ok, err := d.Put(t.Context(), "k", []byte("next"), now, time.Time{}); !ok || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
		if len(d.unconfirmed.keys) > 0 {
			t.Errorf("%s: unconfirmed stay: %v", name, d.unconfirmed.keys)
		}
	}
}
