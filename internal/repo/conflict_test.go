package repo

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The lines that git leaves where two changes meet. The one in the middle may be an
// underline in a text: no conflict has it alone.
var conflictMarkers = [][]byte{[]byte("<<<<<<< "), []byte("||||||| "), []byte(">>>>>>> ")}

// conflicts returns the numbers of the lines that a merge has left.
func conflicts(text []byte) (lines []int) {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if slices.ContainsFunc(conflictMarkers, func(m []byte) bool { return bytes.HasPrefix(line, m) }) {
			lines = append(lines, i+1)
		}
	}
	return lines
}

// No file holds what a merge could not decide.
func TestNoConflictMarkers(t *testing.T) {
	for _, name := range files(t) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range conflicts(text) {
			t.Errorf("%s:%d: a merge has left a conflict here", name, line)
		}
	}
	for marker, want := range map[string]int{"<<<<<<< HEAD": 1, "=======\n": 0, ">>>>>>> main": 1, "||||||| base": 1, "a <<<<<<< b": 0} {
		if got := len(conflicts([]byte("x\n" + marker + "\ny"))); got != want {
			t.Errorf("%q: %d conflicts, want %d", marker, got, want)
		}
	}
}
