//go:build unix

package sessionstore

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A60: whatever a write into a slot leaves there, the version before is there still, until
// the slot is whole.
func TestA60TornSlotLeavesTheVersionBefore(t *testing.T) {
	before, after := versioned{[]byte("the value before"), 7}, versioned{[]byte("the value after it"), 8}
	file := appendSlots(nil, before)
	c := parseContents(file)
	slot := appendSlot(nil, after)
	if c.version != 7 || !c.fits(after.value) {
		t.Fatalf("version %d, slots of %d bytes", c.version, c.slot)
	}
	for n := range len(slot) {
		for _, junk := range []byte{0, 0xff} {
			torn := bytes.Clone(file)
			at := torn[c.other():]
			for i := range slot {
				at[i] = junk
			}
			copy(at, slot[:n])
			if got := parseContents(torn); got.version != 7 || !bytes.Equal(got.value, before.value) {
				t.Fatalf("with %d bytes of the next: version %d, %q", n, got.version, got.value)
			}
		}
	}
	copy(file[c.other():], slot)
	if got := parseContents(file); got.version != 8 || !bytes.Equal(got.value, after.value) {
		t.Errorf("version %d, %q", got.version, got.value)
	}
	for i := range file[:slottedHead] {
		bad := bytes.Clone(file)
		bad[i] ^= 1
		if got := parseContents(bad); got.version != 0 && i > 0 {
			t.Errorf("with byte %d changed: version %d", i, got.version)
		}
	}
}

// Values of any size follow one another, and each is found by another process at once. A file
// is written anew only where it has no room.
func TestSlotsTakeValuesOfAllSizes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	openDir(t, path)
	writes := map[string]int{}
	one, two := newDir(path), newDir(path)
	one.wrote = func(step string) { writes[step]++ }
	sizes := []int{100, 0, 1, 200, 4000, 4096, 5, 100_000, 99_999, 3, 1 << 20}
	for i, size := range sizes {
		value := bytes.Repeat([]byte{byte(i)}, size)
		if done, err := one.Put(t.Context(), "session-x", value, uint64(i), time.Time{}); !done || err != nil {
			t.Fatal(i, done, err)
		}
		got, version, err := two.Get(t.Context(), "session-x")
		if err != nil || version != uint64(i+1) || !bytes.Equal(got, value) {
			t.Fatalf("%d bytes, version %d, %v; want %d and %d", len(got), version, err, size, i+1)
		}
	}
	if writes["renamed"] != 5 || writes["slot synced"] != len(sizes)-5 {
		t.Errorf("%d files were written anew, %d slots", writes["renamed"], writes["slot synced"])
	}
}

// A file in which neither slot is whole is none, also to who finds it so while it is written.
func TestFileWithTwoTornSlotsIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	openDir(t, path)
	d := newDir(path)
	file := appendSlots(nil, versioned{[]byte("x"), 1})
	file[slottedHead] ^= 1
	if err := os.WriteFile(d.file("session-x"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, version, err := d.Get(t.Context(), "session-x"); got != nil || version != 0 || err != nil {
		t.Errorf("%q, %d, %v", got, version, err)
	}
	if done, err := d.Put(t.Context(), "session-x", []byte("new"), 0, time.Time{}); !done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
}

func FuzzA32ParseSessionFile(f *testing.F) {
	f.Add(appendWhole(nil, versioned{[]byte("value"), 1}))
	f.Add(appendSlots(nil, versioned{[]byte("value"), 2}))
	f.Add([]byte{slottedFile})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := parseContents(b)
		if c.version > 0 && len(c.value) > len(b) {
			t.Error("more than there is")
		}
		if c.slot > 0 && c.other()+int64(c.slot) > int64(len(b)) {
			t.Error("a slot beyond the file")
		}
	})
}
