package engine

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"
)

// transcript is every frame of a session of the same two ends, who say the same: its
// handshake, a message each way, a resume, and the first records on that link.
func transcript(t *testing.T) (frames [][]byte) {
	t.Helper()
	record := func(_ int, frame []byte) []byte {
		frames = append(frames, bytes.Clone(frame))
		return frame
	}
	a, b := client(alice), server(bob)
	if cErr, sErr := meet(a, b, record); cErr != nil || sErr != nil {
		t.Fatal(cErr, sErr)
	}
	c, s := a.h.Session(), b.h.Session()
	talk := func(c, s *Link) {
		for _, way := range [][2]*Link{{c, s}, {s, c}} {
			frame := seal(t, way[0], "the same words")
			record(0, frame)
			mustOpen(t, way[1], frame)
		}
	}
	talk(c.Link(), s.Link())
	x, y := reviverOf(t, c), reviverOf(t, s)
	if cErr, sErr := revive(t, x, y, record); cErr != nil || sErr != nil {
		t.Fatal(cErr, sErr)
	}
	greet(t, x.Link(), y.Link())
	if again := drain(t, x.Link(), y.Link()); len(again) != 0 {
		t.Fatalf("%q was sent again", again)
	}
	drain(t, y.Link(), x.Link())
	talk(x.Link(), y.Link())
	return frames
}

// A17, A19: nothing on the wire repeats, within a session or from one to another of the
// same two ends that say the same: no eight bytes in a row.
func TestA19NothingRepeatsOverRuns(t *testing.T) {
	runs := 100
	if runtime.GOOS == "js" {
		runs = 20
	}
	seen := map[uint64]bool{}
	for run := range runs {
		for i, frame := range transcript(t) {
			for at := 0; at+8 <= len(frame); at++ {
				window := binary.BigEndian.Uint64(frame[at:])
				if seen[window] {
					t.Fatalf("run %d, frame %d: bytes %d to %d have been seen before", run, i, at, at+8)
				}
				seen[window] = true
			}
		}
	}
	t.Logf("%d places in %d runs", len(seen), runs)
}
