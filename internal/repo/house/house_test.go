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

// crowded are the rooms that have more, until they get their walls. A figure here only
// falls: lower it with what was built, and leave the line out once the room is as it
// should be.
var crowded = map[string]struct{ exported, knotted int }{
	"e2e": {72, 0},
}

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
	most, inside := crowded[r.Path], strings.HasPrefix(r.Path, "internal/") || strings.Contains(r.Path, "/internal/")
	if inside {
		return
	}
	if allowed := max(most.exported, mostExported); r.Exported > allowed {
		t.Errorf("%s exports %d names, more than %d", r.Path, r.Exported, allowed)
	} else if most.exported > r.Exported {
		t.Errorf("%s exports %d names now: lower the figure", r.Path, r.Exported)
	}
	if allowed := max(most.knotted, mostKnotted); len(r.Knot) > allowed {
		t.Errorf("%s has a knot of %d files, more than %d: %v", r.Path, len(r.Knot), allowed, r.Knot)
	} else if most.knotted > len(r.Knot) {
		t.Errorf("%s has a knot of %d files now: lower the figure", r.Path, len(r.Knot))
	}
}
