package ration

import (
	"testing"
	"time"
)

func TestOneLineInAWhileTellsOfAll(t *testing.T) {
	var r Ration
	at := time.Unix(1e9, 0)
	for i, step := range []struct {
		after time.Duration
		kind  string
		want  int
	}{
		{0, "a", 1}, {0, "a", 0}, {time.Second, "a", 0}, {0, "b", 1},
		{Every - time.Second - 1, "a", 0}, {1, "a", 4}, {0, "a", 0}, {Every, "b", 1}, {0, "a", 2},
	} {
		if at = at.Add(step.after); r.Take(step.kind, at) != step.want {
			t.Errorf("step %d: not %d", i, step.want)
		}
	}
}
