package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// What a room outside of internal may have. The constants of a type count as one with it:
// go doc shows them in one place, and nobody learns them one by one.
const (
	mostExported = 60
	mostKnotted  = 9
	mostMethods  = 45 // of e2e.Session
)

// long are the files that are longer than they should be.
var long = map[string]bool{}

func TestTheHouse(t *testing.T) {
	if testing.Short() {
		t.Skip("go list compiles what is not compiled yet")
	}
	h, err := Measure("../../..")
	if err != nil {
		t.Fatal(err)
	}
	files := maps.Clone(long)
	for _, r := range h.Rooms {
		checkRoom(t, r)
		for _, f := range r.Long {
			name, _, _ := strings.Cut(f, ":")
			if name = r.Path + "/" + name; !files[name] {
				t.Errorf("%s has more than %d lines", name, maxLines)
			}
			delete(files, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		t.Errorf("%s is short enough now: leave it out of the list", name)
	}
	if h.Methods > mostMethods {
		t.Errorf("e2e.Session has %d methods, more than %d", h.Methods, mostMethods)
	}
	for _, up := range h.Upwards {
		t.Errorf("%s, which is above it", up)
	}
}

func checkRoom(t *testing.T, r Room) {
	t.Helper()
	if strings.HasPrefix(r.Path, "internal/") || strings.Contains(r.Path, "/internal/") {
		return
	}
	if r.Exported > mostExported {
		t.Errorf("%s exports %d names, more than %d", r.Path, r.Exported, mostExported)
	}
	if len(r.Knot) > mostKnotted {
		t.Errorf("%s has a knot of %d files, more than %d: %v", r.Path, len(r.Knot), mostKnotted, r.Knot)
	}
}
