package main

import (
	"fmt"
	"strings"
)

// layers are the floors of the house, the lowest first. A package imports from its own
// floor and from below.
var layers = [][]string{
	{"internal/"},
	{"keys"},
	{"envelope"},
	{"transport"},
	{"e2e"},
	{"examples", "wasm"},
}

// apart are packages of internal that stand on top of floors: the protocol without I/O, and
// what only tests, commands and benchmarks use.
var apart = []string{"internal/engine", "internal/fronts", "internal/hostile", "internal/stepclock", "internal/repo", "internal/chromium", "internal/bench", "internal/tap"}

// upwards returns the imports of a package that lead to a floor above its own.
func upwards(path string, imports []string) (out []string) {
	at, known := floor(path)
	if !known {
		return nil
	}
	for _, imported := range imports {
		below, ok := strings.CutPrefix(imported, module+"/")
		if !ok {
			continue
		}
		if to, known := floor(below); known && to > at {
			out = append(out, fmt.Sprintf("%s imports %s", path, below))
		}
	}
	return out
}

func floor(path string) (int, bool) {
	for _, top := range apart {
		if path == top || strings.HasPrefix(path, top+"/") {
			return 0, false
		}
	}
	for i, tops := range layers {
		for _, top := range tops {
			if path == top || strings.HasPrefix(path, strings.TrimSuffix(top, "/")+"/") {
				return i, true
			}
		}
	}
	return 0, false
}
